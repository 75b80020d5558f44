/* Emissions of a recurrent network in 8-bit arithmetic, a batch of sentences at a time.
 *
 * A step of a direction is a product, of states and inputs side by side, and the cell's
 * arithmetic. Both are done for LANES units of up to LANES sentences at once, so that what lies
 * between them stays in the nearest cache. The scales of inputs and states are constants of the
 * model, and sums of bytes are exact: a sentence's result does not depend on its batch.
 *
 * The arithmetic comes in tiers, by what the processor has; each is a file tier_NAME.c.
 */

#include "tiers.h"

#if X86
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* ---- tiers ---- */

/* Places in a mask of tiers. */
enum { PORTABLE, AVX2, AVXVNNI, VNNI, AMX, NEON_PLAIN, NEON_WITH_DOT, TIERS };

static const struct tier *const tiers[TIERS] = {
    [PORTABLE] = &tier_portable,
#if X86
    [AVX2] = &tier_avx2, [AVXVNNI] = &tier_avxvnni, [VNNI] = &tier_vnni,
#ifdef __linux__
    [AMX] = &tier_amx,
#endif
#endif
#if NEON
    [NEON_PLAIN] = &tier_neon,
#endif
#if NEON_DOT
    [NEON_WITH_DOT] = &tier_neondot,
#endif
};

/* What a processor and its system may have; quantised.py names the bits. */
enum {
    HAS_AVX2 = 1,
    HAS_FMA = 2,
    HAS_AVX512 = 4, /* F, BW, VL, DQ */
    HAS_AVX512_VNNI = 8,
    HAS_AVX_VNNI = 16,
    HAS_AMX = 32,  /* tiles of bytes, and Linux lets this process use them */
    HAS_NEON = 64,
    HAS_NEON_DOT = 128, /* and the compiler could make it */
};

#if X86
/* Ask for a bit of CPUID's leaf 7 that __builtin_cpu_supports does not know. */
static int has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

static int has_amx(void) {
#ifdef __linux__
    enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18, TILES = 1 << 24, INT8 = 1 << 25 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & TILES) || !(d & INT8)) return 0;
    return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
#else
    return 0;
#endif
}

static int32_t features(void) {
    __builtin_cpu_init();
    int32_t has = 0;
    if (__builtin_cpu_supports("avx2")) has |= HAS_AVX2;
    if (__builtin_cpu_supports("fma")) has |= HAS_FMA;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        has |= HAS_AVX512;
    if (__builtin_cpu_supports("avx512vnni")) has |= HAS_AVX512_VNNI;
    if (has_avx_vnni()) has |= HAS_AVX_VNNI;
    if (has & HAS_AVX512_VNNI && has_amx()) has |= HAS_AMX;
    return has;
}
#else
static int has_neon_dot(void) {
#if NEON_DOT && defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1; /* ASIMDDP */
#elif NEON_DOT && defined(__APPLE__)
    int has = 0;
    size_t bytes = sizeof has;
    return !sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &bytes, NULL, 0) && has;
#else
    return 0;
#endif
}

static int32_t features(void) {
    return (NEON ? HAS_NEON : 0) | (has_neon_dot() ? HAS_NEON_DOT : 0);
}
#endif

/* The tier's place, if there is all that it needs. */
static int32_t tier_where(int tier, int32_t has, int32_t needs) {
    return (has & needs) == needs ? 1 << tier : 0;
}

/* The tiers that run on a processor with such features, as a mask. */
PUBLIC int32_t tagbelt_tiers_of(int32_t has) {
    const int32_t avx512 = HAS_AVX2 | HAS_FMA | HAS_AVX512 | HAS_AVX512_VNNI;
    return 1 << PORTABLE | tier_where(AVX2, has, HAS_AVX2 | HAS_FMA) |
           tier_where(AVXVNNI, has, HAS_AVX2 | HAS_FMA | HAS_AVX_VNNI) |
           tier_where(VNNI, has, avx512) | tier_where(AMX, has, avx512 | HAS_AMX) |
           tier_where(NEON_PLAIN, has, HAS_NEON) |
           tier_where(NEON_WITH_DOT, has, HAS_NEON | HAS_NEON_DOT);
}

/* The tiers that run here, as a mask: none follows from another. */
PUBLIC int32_t tagbelt_tiers(void) { return tagbelt_tiers_of(features()); }

/* ---- entry points ---- */

/* See INTERFACE in __init__.py. */
PUBLIC int tagbelt_interface(void) { return 4; }

static int64_t rounded(int64_t bytes) { return (bytes + CHUNK - 1) / CHUNK * CHUNK; }

static int64_t largest(const struct network *n, int64_t (*of)(const struct layer *)) {
    int64_t most = 0;
    for (int i = 0; i < n->layers; i++)
        if (of(n->layer + i) > most) most = of(n->layer + i);
    return most;
}

static int64_t row_bytes(const struct layer *l) { return (int64_t)l->chunks * CHUNK; }
static int64_t cell_bytes(const struct layer *l) { return (int64_t)l->unit_blocks * LANES * 4; }
static int64_t output_bytes(const struct layer *l) {
    return (int64_t)l->directions * l->unit_blocks * LANES;
}

/* What Python reads of a cell. */
struct cell_row {
    const char *name;
    int32_t gates, sigmoids;
};

/* A cell of cells.h by its number; NULL behind the last. */
PUBLIC const struct cell_row *tagbelt_cell(int32_t cell) {
#define ROW(constant, name, gates, sigmoids) {name, gates, sigmoids},
    static const struct cell_row rows[] = {CELLS(ROW)};
#undef ROW
    return cell >= 0 && cell < CELL_COUNT ? rows + cell : NULL;
}

/* Bytes of the outputs of a layer; the last block of rows may be read beyond its end. */
static int64_t outputs(const struct network *n, int32_t steps, int32_t sequences) {
    return rounded(((int64_t)steps * sequences + LANES) * largest(n, output_bytes) + CHUNK);
}

static int most_chunks(const struct network *n) {
    const int most = largest(n, row_bytes) / CHUNK;
    return most > n->tag_chunks ? most : n->tag_chunks;
}

/* Bytes that `tagbelt_emissions` needs to work in. */
PUBLIC int64_t tagbelt_scratch(const struct network *n, int32_t steps, int32_t sequences) {
    const int64_t rows = padded_rows(sequences);
    return CHUNK + 2 * rounded(rows * largest(n, row_bytes)) +
           rounded(rows * largest(n, cell_bytes)) + 2 * outputs(n, steps, sequences) +
           rows * prepared_stride(most_chunks(n)) + (int64_t)most_chunks(n) * 2 * TILE;
}

/* Emissions [lengths[0]][sequences][tags]; what stands behind a sequence's end stays as it is.
 *
 * `rows` [lengths[0]][sequences] are rows of `table` (those behind an end are not read);
 * `lengths` fall and are at least 1; `scratch` is `tagbelt_scratch` bytes. */
PUBLIC void tagbelt_emissions(const struct network *n, int32_t tier, const uint8_t *table,
                              const int64_t *rows, const int32_t *lengths, int32_t sequences,
                              float *emissions, uint8_t *scratch) {
    const int32_t steps = lengths[0];
    struct pass p = {.sequences = sequences, .lengths = lengths, .table = table, .rows = rows};
    const int64_t padded = padded_rows(sequences);
    uint8_t *free = scratch + (CHUNK - (uintptr_t)scratch % CHUNK) % CHUNK;
    p.rows_now = free;
    p.rows_next = p.rows_now + rounded(padded * largest(n, row_bytes));
    p.cells = (float *)(p.rows_next + rounded(padded * largest(n, row_bytes)));
    uint8_t *states[2];
    states[0] = (uint8_t *)p.cells + rounded(padded * largest(n, cell_bytes));
    states[1] = states[0] + outputs(n, steps, sequences);

    p.prepared = states[1] + outputs(n, steps, sequences);
    p.room = p.prepared + padded * prepared_stride(most_chunks(n));

    const struct tier *t = tiers[tier];
    if (t->open) t->open();
    for (int i = 0; i < n->layers; i++) {
        const struct layer *l = n->layer + i;
        p.directions = l->directions;
        p.after = states[i % 2];
        for (int d = 0; d < l->directions; d++) t->direction(l, d, &p);
        p.before = p.after;
        p.table = NULL;
    }
    const int64_t stride = output_bytes(n->layer + n->layers - 1);
    for (int step = 0, alive = sequences; step < steps; step++) {
        while (lengths[alive - 1] <= step) alive--;
        for (int row = 0; row < alive; row += LANES) {
            const int64_t place = (int64_t)step * sequences + row;
            t->tags(n, &p, p.before + place * stride, stride,
                    alive - row < LANES ? alive - row : LANES, emissions + place * n->tags);
        }
    }
    if (t->close) t->close();
}

/* Multiply and add as a tier's products do, but in registers alone, for the limit of the processor:
 * how many products were added, or 0 where that is not written. */
PUBLIC int64_t tagbelt_bare_products(int32_t tier, int64_t rounds) {
    const struct tier *t = tiers[tier];
    if (!t->bare) return 0;
    if (t->open) t->open();
    const int64_t made = t->bare(rounds);
    if (t->close) t->close();
    return made;
}
