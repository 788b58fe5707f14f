/* Tells helgrind of the locks and shared owners of Rust's standard library, which it cannot see: they are made of futexes. Linked
 * into a program that runs under helgrind, it wraps what the library built without optimisation calls, by its mangled names (`Za`
 * stands for anything, `ZZ` for Z).
 *
 * Nothing is ordered here that Rust does not order: taking a lock follows its releases, and the last owner of something shared
 * follows all who let go of it before. A lock's readers are not ordered among themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/helgrind.h>

/* What this thread holds. The library holds no two of a kind at a time; another would be lost sight of, so it ends the program. */
static __thread void *mutex, *rwlock;

static long taken;

static void hold(void **held, void *lock, int is_w)
{
    if (*held != NULL) {
        fprintf(stderr, "two locks of a kind are held at a time\n");
        abort();
    }
    *held = lock;
    ANNOTATE_RWLOCK_ACQUIRED(lock, is_w);
    __sync_fetch_and_add(&taken, 1);
}

static void let_go(void **held)
{
    void *lock = *held;
    if (lock == NULL) {
        fprintf(stderr, "a lock is let go of that nobody was seen to take\n");
        abort();
    }
    /* Whether it was held for writing is known. */
    ANNOTATE_RWLOCK_RELEASED(lock, 0);
    *held = NULL;
}

/* Says how often a lock was taken: 0 where nothing was wrapped. */
__attribute__((destructor)) static void tell(void)
{
    fprintf(stderr, "%ld locks taken\n", taken);
}

/* A guard is returned by way of the first argument. */
#define TAKES(name, held, is_w)                             \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(long to, void *lock); \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(long to, void *lock)  \
    {                                                       \
        OrigFn inner;                                       \
        long result;                                        \
        VALGRIND_GET_ORIG_FN(inner);                        \
        CALL_FN_W_WW(result, inner, to, lock);              \
        hold(&held, lock, is_w);                            \
        return result;                                      \
    }

#define LETS_GO(name, held)                                 \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(long guard);     \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(long guard)      \
    {                                                       \
        OrigFn inner;                                       \
        long result;                                        \
        VALGRIND_GET_ORIG_FN(inner);                        \
        let_go(&held);                                \
        CALL_FN_W_W(result, inner, guard);                  \
        return result;                                      \
    }

/* Arc<T>, and Weak<T>: a reference to a pointer to the counts. */
#define OWNED(name, order)                                  \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(void **owner);   \
    long I_WRAP_SONAME_FNNAME_ZZ(Za, name)(void **owner)    \
    {                                                       \
        OrigFn inner;                                       \
        long result;                                        \
        VALGRIND_GET_ORIG_FN(inner);                        \
        order(*owner);                                      \
        CALL_FN_W_W(result, inner, owner);                  \
        return result;                                      \
    }

TAKES(_ZZN3std4sync6poison5mutexZaMutexZa4lock17hZaE, mutex, 1)
TAKES(_ZZN3std4sync6poison6rwlockZaRwLockZa4read17hZaE, rwlock, 0)
TAKES(_ZZN3std4sync6poison6rwlockZaRwLockZa5write17hZaE, rwlock, 1)
LETS_GO(_ZZNZaMutexGuardZaDropZa4drop17hZaE, mutex)
LETS_GO(_ZZNZaRwLockReadGuardZaDropZa4drop17hZaE, rwlock)
LETS_GO(_ZZNZaRwLockWriteGuardZaDropZa4drop17hZaE, rwlock)
OWNED(_ZZN71_ZaArcZaDropZa4drop17hZaE, ANNOTATE_HAPPENS_BEFORE)
OWNED(_ZZN72_ZaWeakZaDropZa4drop17hZaE, ANNOTATE_HAPPENS_BEFORE)
OWNED(_ZZN5alloc4sync16ArcZa9drop_slow17hZaE, ANNOTATE_HAPPENS_AFTER)

/* LazyLock<T, F>: whoever reads it follows the one thread that made it. */
static __thread void *lazy;

void *I_WRAP_SONAME_FNNAME_ZZ(Za, _ZZNZaLazyLockZaDerefZa5deref17hZaE)(void *lock);
void *I_WRAP_SONAME_FNNAME_ZZ(Za, _ZZNZaLazyLockZaDerefZa5deref17hZaE)(void *lock)
{
    OrigFn inner;
    void *result, *outer = lazy;
    VALGRIND_GET_ORIG_FN(inner);
    lazy = lock;
    CALL_FN_W_W(result, inner, lock);
    lazy = outer;
    ANNOTATE_HAPPENS_AFTER(lock);
    return result;
}

long I_WRAP_SONAME_FNNAME_ZZ(Za, _ZZN3std4sync9lazy_lockZaLazyLockZa5force28_ZaclosureZaE)(void *made, void *state);
long I_WRAP_SONAME_FNNAME_ZZ(Za, _ZZN3std4sync9lazy_lockZaLazyLockZa5force28_ZaclosureZaE)(void *made, void *state)
{
    OrigFn inner;
    long result;
    VALGRIND_GET_ORIG_FN(inner);
    CALL_FN_W_WW(result, inner, made, state);
    ANNOTATE_HAPPENS_BEFORE(lazy);
    return result;
}
