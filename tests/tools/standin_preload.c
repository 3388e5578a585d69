// SPDX-License-Identifier: BSL-1.0
// A stand-in for the preload library: what the tool hands over it takes, and at exit it reports what the test wants
// to see reported. With it the tool is tested alone, and for answers that a healthy engine never gives.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char* setting(const char* key, const char* otherwise, char* buffer, size_t size) {
  const char* options = getenv("WEFT_OPTIONS");
  const size_t length = strlen(key);
  for (const char* at = options; at != NULL && *at != '\0';) {
    const char* comma = strchrnul(at, ',');
    if (strncmp(at, key, length) == 0 && at[length] == '=') {
      snprintf(buffer, size, "%.*s", (int)(comma - at - (long)length - 1), at + length + 1);
      return buffer;
    }
    at = *comma == ',' ? comma + 1 : comma;
  }
  return otherwise;
}

__attribute__((destructor)) static void report(void) {
  char model_text[16];
  char path_text[4096];
  char stats_text[8];
  const char* asked = setting("model", "m:n", model_text, sizeof model_text);
  const char* forced = getenv("STANDIN_MODEL");  // the engine fell back
  const char* model = forced != NULL ? forced : asked;
  const char* path = setting("stats-file", "", path_text, sizeof path_text);
  const int kernel = strcmp(model, "1:1") == 0;
  if (strcmp(setting("stats", "0", stats_text, sizeof stats_text), "1") == 0)
    dprintf(STDERR_FILENO, "stand-in: model=%s\n", model);
  if (*path == '\0' || getenv("STANDIN_SILENT") != NULL) return;
  FILE* file = fopen(path, "ae");
  if (file == NULL) return;
  fprintf(file,
          "{\"pid\":%d,\"program\":\"%s\",\"model\":\"%s\",\"parallelism\":2,\"threads_created\":101,"
          "\"threads_most_alive\":100,\"switches\":%d,\"preemptions\":0,\"rescues\":0,\"carriers\":%d,"
          "\"kernel_threads_most\":%d}\n",
          getpid(), program_invocation_short_name, model, kernel ? 0 : 12345, kernel ? 0 : 4, kernel ? 101 : 5);
  fclose(file);
}
