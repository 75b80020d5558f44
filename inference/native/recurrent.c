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
enum { PORTABLE, AVX2, AVXVNNI, VNNI, AMX, NEON_PLAIN, NEON_WITH_DOT, NEON_WITH_I8MM, TIERS };

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
    [NEON_WITH_DOT] = &tier_neondot, [NEON_WITH_I8MM] = &tier_neoni8mm,
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
    HAS_NEON_I8MM = 256,
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
/* Whether there is a feature: a bit of Linux's vector, and a name of macOS. */
#if NEON_DOT && defined(__linux__)
#define HAS(vector, bit, name) (getauxval(vector) >> (bit) & 1)
#elif NEON_DOT && defined(__APPLE__)
#define HAS(vector, bit, name) says("hw.optional.arm." name)
static int says(const char *name) {
    int has = 0;
    size_t bytes = sizeof has;
    return !sysctlbyname(name, &has, &bytes, NULL, 0) && has;
}
#else
#define HAS(vector, bit, name) 0
#endif

static int32_t features(void) {
    return (NEON ? HAS_NEON : 0) | (HAS(AT_HWCAP, 20, "FEAT_DotProd") ? HAS_NEON_DOT : 0) |
           (HAS(AT_HWCAP2, 13, "FEAT_I8MM") ? HAS_NEON_I8MM : 0);
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
           tier_where(NEON_WITH_DOT, has, HAS_NEON | HAS_NEON_DOT) |
           tier_where(NEON_WITH_I8MM, has, HAS_NEON | HAS_NEON_I8MM);
}

/* The tiers that run here, as a mask: none follows from another. */
PUBLIC int32_t tagbelt_tiers(void) { return tagbelt_tiers_of(features()); }

/* ---- entry points ---- */

/* See INTERFACE in __init__.py. */
PUBLIC int tagbelt_interface(void) { return 7; }

static int64_t rounded(int64_t bytes) { return round_up(bytes, CHUNK); }

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
static int64_t sum_bytes(const struct layer *l) { return cell_bytes(l) * GATES_OF[l->cell]; }

/* What Python reads of a cell. */
struct cell_row {
    const char *name;
    int32_t gates, sigmoids;
};

/* A cell of cells.h by its number; NULL behind the last. */
PUBLIC const struct cell_row *tagbelt_cell(int32_t cell) {
#define ROW(constant, name, gates, sigmoids, ...) {name, gates, sigmoids},
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
    return most > n->scores.chunks ? most : n->scores.chunks;
}

/* Lay out the memory to work in, from `free` on; return its end. `forms` are rows of the table. */
static uint8_t *lay_out(struct pass *p, uint8_t *states[2], uint8_t *free, const struct network *n,
                        int64_t forms, int64_t steps, int64_t sequences) {
#define TAKE(what, count, bytes) what = (void *)free, free += rounded((count) * (int64_t)(bytes))
    const int64_t tokens = steps * sequences, padded = round_up(sequences, LANES);
    const int64_t fours = most_chunks(n) * (CHUNK / 4);
    free += (CHUNK - (uintptr_t)free % CHUNK) % CHUNK;
    TAKE(p->inputs, KEPT, sizeof *p->inputs);
    TAKE(p->kept_of, tokens, sizeof *p->kept_of);
    TAKE(p->seen, forms, sizeof *p->seen);
    TAKE(p->sums, KEPT, largest(n, sum_bytes));
    TAKE(p->order, sequences, sizeof *p->order);
    TAKE(p->states, padded, largest(n, row_bytes));
    TAKE(p->input_sums, sequences, sizeof *p->input_sums);
    TAKE(p->row_cells, sequences, sizeof *p->row_cells);
    TAKE(p->row_out, sequences, sizeof *p->row_out);
    TAKE(p->cells, padded, largest(n, cell_bytes));
    TAKE(p->gathered, KEPT, most_chunks(n) * CHUNK);
    TAKE(p->prepared, 2 * padded + KEPT, prepared_stride(fours));
    TAKE(p->room, fours, 2 * 4 * LANES);
    if (n->heads) {
        const int64_t outputs = n->scores.outputs + n->pairs.outputs;
        const int64_t columns = round_up(steps, LANES);
        TAKE(p->projected, (steps < KEPT ? KEPT : steps) * outputs + LANES, sizeof(float));
        TAKE(p->keys, columns * n->pairs.outputs / 2 / n->heads, sizeof(float));
        TAKE(p->shares, columns * 8, sizeof(float));
    }
    TAKE(states[0], 1, outputs(n, steps, sequences));
    TAKE(states[1], 1, outputs(n, steps, sequences));
#undef TAKE
    return free;
}

/* Bytes that `tagbelt_emissions` needs to work in. */
PUBLIC int64_t tagbelt_scratch(const struct network *n, int64_t forms, int32_t steps,
                               int32_t sequences) {
    struct pass p;
    uint8_t *states[2], *none = (uint8_t *)CHUNK;
    return lay_out(&p, states, none, n, forms, steps, sequences) - none + CHUNK;
}

#define FOR_PLACES(p, body)                                                     \
    for (int step = 0, alive = (p)->sequences; step < (p)->lengths[0]; step++) { \
        while ((p)->lengths[alive - 1] <= step) alive--;                        \
        for (int row = 0; row < alive; row++) {                                 \
            const int64_t place = (int64_t)step * (p)->sequences + row;         \
            body                                                                \
        }                                                                       \
    }

/* How often each row of the table is read, in `seen`; return how often those are that are to be
 * kept, at least. */
static int count_forms(struct pass *p) {
    enum { MOST = 1024 };
    int32_t as_often[MOST + 1] = {0}; /* rows that are read so often, or more often */
    memset(p->seen, 0, p->forms * sizeof *p->seen);
    FOR_PLACES(p, {
        const int32_t times = ++p->seen[p->rows[place]];
        if (times <= MOST) as_often[times]++;
    })
    int least = 2;
    while (least <= MOST && as_often[least] > KEPT) least++;
    return least;
}

/* Choose the inputs to keep: all, if they are few, else the rows of the table that are read most. */
void choose_kept(struct pass *p, int width) {
    int64_t tokens = 0;
    for (int row = 0; row < p->sequences; row++) tokens += p->lengths[row];
    const int few = tokens <= KEPT, least = !few && p->table ? count_forms(p) : 0;
    p->kept = 0;
    FOR_PLACES(p, {
        int32_t *kept = p->kept_of + place;
        int32_t *seen = least ? p->seen + p->rows[place] : NULL;
        const int is_new = few || (least && *seen >= least);
        *kept = is_new ? p->kept : least && *seen < 0 ? -1 - *seen : -1;
        if (!is_new) continue;
        p->inputs[p->kept++] = input_at(p, place, width);
        if (least) *seen = -1 - *kept;
    })
}

/* Emissions [lengths[0]][sequences][tags]; what stands behind a sequence's end stays as it is.
 *
 * `rows` [lengths[0]][sequences] are rows of `table` [forms] (those behind an end are not read);
 * `lengths` fall and are at least 1; `scratch` is `tagbelt_scratch` bytes. */
PUBLIC void tagbelt_emissions(const struct network *n, int32_t tier, const uint8_t *table,
                              int64_t forms, const int64_t *rows, const int32_t *lengths,
                              int32_t sequences, float *emissions, uint8_t *scratch) {
    const int32_t steps = lengths[0];
    struct pass p = {.sequences = sequences, .lengths = lengths, .table = table, .forms = forms,
                     .rows = rows};
    uint8_t *states[2];
    lay_out(&p, states, scratch, n, forms, steps, sequences);

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
    if (n->heads) t->attend(n, &p, p.before, stride, emissions);
    for (int step = 0, alive = sequences; !n->heads && step < steps; step++) {
        while (lengths[alive - 1] <= step) alive--;
        const int rows = sequences == 1 ? steps : alive; /* a lone sentence's lie side by side */
        for (int row = 0; row < rows; row += LANES) {
            const int64_t place = (int64_t)step * sequences + row;
            t->tags(n, &p, p.before + place * stride, stride,
                    rows - row < LANES ? rows - row : LANES, emissions + place * n->tags);
        }
        if (sequences == 1) break;
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
