// SPDX-License-Identifier: BSL-1.0
// A library that load_while_running opens: thread-local data in the model that the compiler chooses for plugins, and, as
// tls_plugin_static, in the one that needs room in every thread's block at once.
#ifdef STATIC_TLS
#define MODEL __attribute__((tls_model("initial-exec")))
#else
#define MODEL
#endif

static __thread int value MODEL = 42;
static __thread char zeros[100] MODEL;

int plugin_sum(void);
void plugin_add(int more);

int plugin_sum(void) {
  int sum = value;
  for (unsigned i = 0; i < sizeof zeros; ++i) sum += zeros[i];
  return sum;
}
void plugin_add(int more) {
  value += more;
  zeros[99] = 1;
}
