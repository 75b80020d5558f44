/* Read a network, a batch and perhaps a CRF from standard input, as test_other_processors.py writes
 * them; write the tiers that run here (int32), the emissions, and of a CRF the best paths. */

#include "../../../inference/native/crf.h"
#include "../../../inference/native/recurrent.h"

#include <stdio.h>
#include <stdlib.h>

int32_t tagbelt_tiers(void);
int64_t tagbelt_scratch(const struct network *, int64_t, int32_t, int32_t);
void tagbelt_emissions(const struct network *, int32_t, const uint8_t *, int64_t, const int64_t *,
                       const int32_t *, int32_t, float *, uint8_t *);
size tagbelt_viterbi(const struct crf *, const float *, size, size, size, size, const size *, size *,
                     double *);

static void fill(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) exit(1);
}

static int32_t number(void) {
    int32_t n;
    fill(&n, sizeof n);
    return n;
}

/* An array at a cache line; NULL for an empty one. */
static void *array(void) {
    const int32_t bytes = number();
    if (!bytes) return NULL;
    void *made = aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
    fill(made, bytes);
    return made;
}

static struct layer layer(void) {
    struct layer l = {0};
    l.cell = number();
    l.directions = number();
    l.unit_blocks = number();
    l.input_bytes = number();
    l.chunks = number();
    l.hidden = number();
    l.tiles = array();
    l.scale = array();
    l.bias = array();
    l.peephole = array();
    for (int i = 0; i < 3; i++) l.start[i] = array();
    return l;
}

static struct linear linear(void) {
    struct linear l = {0};
    l.outputs = number();
    l.blocks = number();
    l.chunks = number();
    l.bytes = number();
    l.tiles = array();
    l.scale = array();
    l.bias = array();
    l.start = array();
    return l;
}

int main(void) {
    const int32_t tier = number(), steps = number(), sentences = number();
    struct network n = {.layers = number()};
    struct layer layers[8];
    n.layer = layers;
    n.tags = number();
    n.heads = number();
    for (int i = 0; i < n.layers; i++) layers[i] = layer();
    n.scores = linear();
    n.pairs = linear();
    const int32_t forms = number();
    const uint8_t *table = array();
    const int64_t *rows = array();
    const int32_t *lengths = array();
    const size_t count = (size_t)steps * sentences * n.tags;
    float *emissions = calloc(count, sizeof *emissions);
    uint8_t *scratch = malloc(tagbelt_scratch(&n, forms, steps, sentences));
    const int32_t here = tagbelt_tiers();
    fwrite(&here, sizeof here, 1, stdout);
    if (here >> tier & 1)
        tagbelt_emissions(&n, tier, table, forms, rows, lengths, sentences, emissions, scratch);
    if (fwrite(emissions, sizeof *emissions, count, stdout) != count) return 1;
    const struct crf crf = {n.tags, array(), array(), array()};
    if (!crf.start) return 0;
    size *paths = calloc((size_t)steps * sentences, sizeof *paths), *long_lengths = array();
    double *best = malloc(sentences * sizeof *best);
    if (tagbelt_viterbi(&crf, emissions, (size)sentences * n.tags, n.tags, steps, sentences,
                        long_lengths, paths, best)) return 1;
    return fwrite(paths, sizeof *paths, (size_t)steps * sentences, stdout) == 0;
}
