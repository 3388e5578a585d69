// SPDX-License-Identifier: BSL-1.0
// What the functions on locks answer to what is unusual: wrong owners, bad arguments, times that are none, overflows. And locks
// across fork, mixed with each other, futexes that name their holder, and threads that end by system call.
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void say(const char* call, int result) { printf("%s: %d\n", call, result); }
#define SAY(call) say(#call, call)
#define SAY_ERRNO(call) say(#call, (call) == 0 ? 0 : errno)

static const struct timespec past = {1, 0}, bad = {1, 1000000000}, negative = {1, -1}, before_time = {-1, 0};

static void* elsewhere(void* raw) {
  ((void (*)(void))raw)();
  return NULL;
}
static void in_thread(void (*body)(void)) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, elsewhere, (void*)body), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static void try_rwlock(void) {
  const int shared = pthread_rwlock_tryrdlock(&rw);
  say("tryrdlock", shared);
  SAY(pthread_rwlock_trywrlock(&rw));
  SAY(pthread_rwlock_timedwrlock(&rw, &past));
  SAY(pthread_rwlock_timedwrlock(&rw, &bad));
  SAY(pthread_rwlock_timedwrlock(&rw, &negative));
  SAY(pthread_rwlock_timedwrlock(&rw, &before_time));
  SAY(pthread_rwlock_clockwrlock(&rw, CLOCK_MONOTONIC, &past));
  SAY(pthread_rwlock_clockwrlock(&rw, CLOCK_PROCESS_CPUTIME_ID, &past));
  if (shared == 0) SAY(pthread_rwlock_unlock(&rw));
}
static void rwlocks(void) {
  SAY(pthread_rwlock_rdlock(&rw));
  try_rwlock();
  in_thread(try_rwlock);
  SAY(pthread_rwlock_unlock(&rw));
  SAY(pthread_rwlock_wrlock(&rw));
  SAY(pthread_rwlock_rdlock(&rw));
  SAY(pthread_rwlock_wrlock(&rw));
  SAY(pthread_rwlock_timedrdlock(&rw, &bad));
  SAY(pthread_rwlock_timedrdlock(&rw, &past));
  SAY(pthread_rwlock_clockrdlock(&rw, 99, &past));
  in_thread(try_rwlock);
  SAY(pthread_rwlock_unlock(&rw));
  SAY(pthread_rwlock_timedrdlock(&rw, &past));
  SAY(pthread_rwlock_timedrdlock(&rw, &bad));
  SAY(pthread_rwlock_unlock(&rw));
  SAY(pthread_rwlock_destroy(&rw));
  pthread_rwlockattr_t attributes;
  SAY(pthread_rwlockattr_init(&attributes));
  SAY(pthread_rwlockattr_setkind_np(&attributes, 17));
  SAY(pthread_rwlockattr_setpshared(&attributes, 17));
}

static void barriers(void) {
  pthread_barrier_t b;
  SAY(pthread_barrier_init(&b, NULL, 0));
  SAY(pthread_barrier_init(&b, NULL, (unsigned)INT_MAX + 1));
  SAY(pthread_barrier_init(&b, NULL, 1));
  SAY(pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD);
  SAY(pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD);
  SAY(pthread_barrier_destroy(&b));
}

static pthread_spinlock_t spin;
static void try_spin(void) { SAY(pthread_spin_trylock(&spin)); }
static void spins(void) {
  SAY(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
  SAY(pthread_spin_lock(&spin));
  try_spin();
  in_thread(try_spin);
  SAY(pthread_spin_unlock(&spin));
  in_thread(try_spin);
  SAY(pthread_spin_unlock(&spin));
  SAY(pthread_spin_destroy(&spin));
}

static pthread_mutex_t mutex;
static void try_mutex(void) {
  const int error = pthread_mutex_trylock(&mutex);
  say("trylock", error);
  say("timedlock past", pthread_mutex_timedlock(&mutex, &past));
  say("timedlock bad", pthread_mutex_timedlock(&mutex, &bad));
  say("clocklock of no clock", pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &past));
}
static void unlock_mutex(void) { say("unlock", pthread_mutex_unlock(&mutex)); }
static void mutexes(void) {
  static const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
  for (int robust = 0; robust < 2; ++robust) {
    for (int i = 0; i < 3; ++i) {
      printf("mutex of kind %d, robust %d\n", kinds[i], robust);
      pthread_mutexattr_t attributes;
      SAY(pthread_mutexattr_init(&attributes));
      SAY(pthread_mutexattr_settype(&attributes, 99));
      SAY(pthread_mutexattr_setrobust(&attributes, 99));
      SAY(pthread_mutexattr_setprotocol(&attributes, 99));
      SAY(pthread_mutexattr_settype(&attributes, kinds[i]));
      SAY(pthread_mutexattr_setrobust(&attributes, robust));
      SAY(pthread_mutex_init(&mutex, &attributes));
      SAY(pthread_mutex_consistent(&mutex));
      if (kinds[i] == PTHREAD_MUTEX_ERRORCHECK || robust != 0) SAY(pthread_mutex_unlock(&mutex));
      SAY(pthread_mutex_lock(&mutex));
      if (kinds[i] != PTHREAD_MUTEX_NORMAL) {
        SAY(pthread_mutex_lock(&mutex));
        SAY(pthread_mutex_trylock(&mutex));
      }
      in_thread(try_mutex);
      if (kinds[i] != PTHREAD_MUTEX_NORMAL) in_thread(unlock_mutex);
      SAY(pthread_mutex_destroy(&mutex));
      SAY(pthread_mutex_unlock(&mutex));
      if (kinds[i] == PTHREAD_MUTEX_RECURSIVE) {
        unlock_mutex();
        unlock_mutex();
      }
      int ceiling = 0;
      SAY(pthread_mutex_getprioceiling(&mutex, &ceiling));
      SAY(pthread_mutex_destroy(&mutex));
    }
  }
}

static void semaphores(void) {
  sem_t s;
  SAY_ERRNO(sem_init(&s, 0, (unsigned)SEM_VALUE_MAX + 1));
  SAY_ERRNO(sem_init(&s, 0, SEM_VALUE_MAX));
  SAY_ERRNO(sem_post(&s));
  SAY_ERRNO(sem_timedwait(&s, &past));
  SAY_ERRNO(sem_timedwait(&s, &bad));
  SAY_ERRNO(sem_init(&s, 0, 0));
  SAY_ERRNO(sem_trywait(&s));
  SAY_ERRNO(sem_timedwait(&s, &past));
  SAY_ERRNO(sem_timedwait(&s, &negative));
  SAY_ERRNO(sem_clockwait(&s, CLOCK_PROCESS_CPUTIME_ID, &past));
  SAY_ERRNO(sem_clockwait(&s, CLOCK_MONOTONIC, &past));
  SAY_ERRNO(sem_destroy(&s));
}

static void conditions(void) {
  pthread_cond_t c = PTHREAD_COND_INITIALIZER;
  pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  SAY(pthread_cond_wait(&c, &m));
  SAY(pthread_mutex_lock(&m));
  SAY(pthread_cond_timedwait(&c, &m, &past));
  SAY(pthread_cond_timedwait(&c, &m, &bad));
  SAY(pthread_cond_timedwait(&c, &m, &negative));
  SAY(pthread_cond_clockwait(&c, &m, CLOCK_PROCESS_CPUTIME_ID, &past));
  SAY(pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC, &past));
  SAY(pthread_mutex_unlock(&m));
  SAY(pthread_cond_signal(&c));
  SAY(pthread_cond_broadcast(&c));
  SAY(pthread_cond_destroy(&c));
}

// One of the two is shared with other processes, the other is not.
struct mixed {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  int turn;
};
static void* take_turns(void* raw) {
  struct mixed* x = raw;
  for (int i = 1; i < 100; i += 2) {
    CHECK_EQ(pthread_mutex_lock(&x->mutex), 0);
    while (x->turn != i) CHECK_EQ(pthread_cond_wait(&x->condition, &x->mutex), 0);
    x->turn = i + 1;
    CHECK_EQ(pthread_cond_signal(&x->condition), 0);
    CHECK_EQ(pthread_mutex_unlock(&x->mutex), 0);
  }
  return NULL;
}
static void mix(int shared_mutex, int shared_condition) {
  struct mixed* x = mmap(NULL, sizeof *x, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(x != MAP_FAILED);
  pthread_mutexattr_t ma;
  pthread_condattr_t ca;
  pthread_mutexattr_init(&ma);
  pthread_condattr_init(&ca);
  pthread_mutexattr_setpshared(&ma, shared_mutex);
  pthread_condattr_setpshared(&ca, shared_condition);
  CHECK_EQ(pthread_mutex_init(&x->mutex, &ma), 0);
  CHECK_EQ(pthread_cond_init(&x->condition, &ca), 0);
  pthread_t other;
  CHECK_EQ(pthread_create(&other, NULL, take_turns, x), 0);
  for (int i = 0; i < 100; i += 2) {
    CHECK_EQ(pthread_mutex_lock(&x->mutex), 0);
    while (x->turn != i) CHECK_EQ(pthread_cond_wait(&x->condition, &x->mutex), 0);
    x->turn = i + 1;
    CHECK_EQ(pthread_cond_signal(&x->condition), 0);
    CHECK_EQ(pthread_mutex_unlock(&x->mutex), 0);
  }
  CHECK_EQ(pthread_join(other, NULL), 0);
  CHECK_EQ(pthread_mutex_lock(&x->mutex), 0);
  CHECK_EQ(pthread_cond_timedwait(&x->condition, &x->mutex, &past), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_unlock(&x->mutex), 0);
  printf("mutex %d, condition %d: %d turns\n", shared_mutex, shared_condition, x->turn);
}

// A word that says who holds it, taken and released without the kernel when nobody waits.
static unsigned held_by;
static long under_word, ended;
static void word_lock(void) {
  unsigned nobody = 0;
  if (__atomic_compare_exchange_n(&held_by, &nobody, (unsigned)syscall(SYS_gettid), 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  CHECK_EQ(syscall(SYS_futex, &held_by, FUTEX_LOCK_PI_PRIVATE, 0, NULL), 0);
}
static void word_unlock(void) {
  unsigned me = (unsigned)syscall(SYS_gettid);
  if (__atomic_compare_exchange_n(&held_by, &me, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return;
  CHECK_EQ(syscall(SYS_futex, &held_by, FUTEX_UNLOCK_PI_PRIVATE, 0), 0);
}
static void* hammer_word(void* unused) {
  for (int i = 0; i < 300; ++i) {
    word_lock();
    CHECK_EQ(held_by & FUTEX_TID_MASK, syscall(SYS_gettid));
    const long seen = under_word;
    if (i % 16 == 0) sched_yield();
    under_word = seen + 1;
    word_unlock();
  }
  return unused;
}
static void try_word(void) {
  SAY_ERRNO(syscall(SYS_futex, &held_by, FUTEX_TRYLOCK_PI_PRIVATE, 0));
  SAY_ERRNO(syscall(SYS_futex, &held_by, FUTEX_UNLOCK_PI_PRIVATE, 0));
  SAY_ERRNO(syscall(SYS_futex, &held_by, FUTEX_LOCK_PI_PRIVATE, 0, &past));
  SAY_ERRNO(syscall(SYS_futex, &held_by, FUTEX_LOCK_PI_PRIVATE, 0, &bad));
}
static void words(void) {
  pthread_t thread[20];
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, hammer_word, NULL), 0);
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("under the word: %ld, held by %u\n", under_word, held_by);
  word_lock();
  SAY_ERRNO(syscall(SYS_futex, &held_by, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
  in_thread(try_word);
  word_unlock();
}

static pthread_key_t key;
static void count_end(void* unused) {
  (void)unused;
  __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
}
static void* end_by_call(void* raw) {
  CHECK_EQ(pthread_setspecific(key, raw), 0);
  syscall(SYS_exit, 3);
  return raw;
}
static void ends(void) {
  CHECK_EQ(pthread_key_create(&key, count_end), 0);
  for (int round = 0; round < 50; ++round) {
    pthread_t thread[8];
    for (int i = 0; i < 8; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, end_by_call, &key), 0);
    for (int i = 0; i < 8; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  }
  printf("threads that end by system call run no destructors: %ld\n", ended);
}

// Threads of the parent hold and want these, or have half a round behind them, when the child begins.
static pthread_rwlock_t read_held = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t half;
static sem_t go, tokens;
static void* hold_and_wait(void* unused) {
  CHECK_EQ(pthread_rwlock_rdlock(&read_held), 0);
  CHECK_EQ(sem_post(&go), 0);
  CHECK(sem_wait(&tokens) == 0);
  CHECK_EQ(pthread_rwlock_unlock(&read_held), 0);
  (void)pthread_barrier_wait(&half);
  return unused;
}
static void forks(void) {
  enum { readers = 5 };
  pthread_t thread[readers];
  CHECK_EQ(pthread_barrier_init(&half, NULL, readers + 1), 0);
  CHECK_EQ(sem_init(&go, 0, 0), 0);
  CHECK_EQ(sem_init(&tokens, 0, 0), 0);
  for (int i = 0; i < readers; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, hold_and_wait, NULL), 0);
  for (int i = 0; i < readers; ++i) CHECK_EQ(sem_wait(&go), 0);
  fflush(stdout);
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      if (round % 2 == 1) {
        const pid_t grandchild = fork();
        CHECK(grandchild >= 0);
        int status = 0;
        if (grandchild != 0) {
          CHECK_EQ(waitpid(grandchild, &status, 0), grandchild);
          _exit(WEXITSTATUS(status));
        }
      }
      CHECK_EQ(pthread_rwlock_rdlock(&read_held), 0);
      CHECK_EQ(pthread_rwlock_trywrlock(&read_held), EBUSY);
      CHECK_EQ(pthread_rwlock_unlock(&read_held), 0);
      CHECK(sem_trywait(&tokens) != 0 && errno == EAGAIN);
      CHECK_EQ(sem_post(&tokens), 0);
      CHECK_EQ(sem_wait(&tokens), 0);
      in_thread(spins);
      fflush(NULL);
      _exit(17);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    printf("child %d: %d\n", round, WEXITSTATUS(status));
    fflush(stdout);
  }
  for (int i = 0; i < readers; ++i) CHECK_EQ(sem_post(&tokens), 0);
  (void)pthread_barrier_wait(&half);
  for (int i = 0; i < readers; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  SAY(pthread_rwlock_trywrlock(&read_held));
  SAY(pthread_rwlock_unlock(&read_held));
}

// The names under which programs from before glibc 2.34 ask for the same functions.
__asm__(".symver old_yield, pthread_yield@GLIBC_2.2.5");
__asm__(".symver old_lock, __pthread_mutex_lock@GLIBC_2.2.5");
__asm__(".symver old_unlock, __pthread_mutex_unlock@GLIBC_2.2.5");
int old_yield(void);
int old_lock(pthread_mutex_t*);
int old_unlock(pthread_mutex_t*);
static pthread_mutex_t old_mutex = PTHREAD_MUTEX_INITIALIZER;
static int about_to_lock, has_locked;
static void* lock_by_old_name(void* nothing) {
  __atomic_store_n(&about_to_lock, 1, __ATOMIC_SEQ_CST);
  CHECK_EQ(old_lock(&old_mutex), 0);
  has_locked = 1;
  CHECK_EQ(pthread_mutex_unlock(&old_mutex), 0);
  return nothing;
}
static void old_names(void) {
  pthread_t t;
  CHECK_EQ(pthread_mutex_lock(&old_mutex), 0);
  CHECK_EQ(pthread_create(&t, NULL, lock_by_old_name, NULL), 0);
  while (!__atomic_load_n(&about_to_lock, __ATOMIC_SEQ_CST)) old_yield();
  for (int i = 0; i < 100; ++i) old_yield();
  CHECK_EQ(has_locked, 0);
  CHECK_EQ(old_unlock(&old_mutex), 0);
  CHECK_EQ(pthread_join(t, NULL), 0);
  CHECK_EQ(has_locked, 1);
}

int main(void) {
  old_names();
  rwlocks();
  barriers();
  spins();
  mutexes();
  semaphores();
  conditions();
  in_thread(rwlocks);
  in_thread(semaphores);
  in_thread(conditions);
  mix(PTHREAD_PROCESS_SHARED, PTHREAD_PROCESS_PRIVATE);
  mix(PTHREAD_PROCESS_PRIVATE, PTHREAD_PROCESS_SHARED);
  words();
  ends();
  forks();
  return 0;
}
