/* Exact probabilities under a CRF by forward-backward with scaling (Rabiner 1989, V.A).
 * A row that leaves the range of doubles is told of; inference/crf/reference.py computes those. */

#include "crf.h"

/* What the rows of all blocks share: potentials, each scaled to a largest value of 1. */
struct model {
    size tags;
    double *start, *end; /* [K] */
    double *moves;       /* [K][K] */
    struct moves into, out;
};

/* The tables of a block, each [steps][K][lanes]. `local` is what a tag contributes at a step over
 * the step's scale, so that forward[t] = (moves^T forward[t - 1]) local[t], backward[t - 1] = moves
 * (local[t] backward[t]), and forward * backward is the marginal. */
struct chart {
    double *forward, *backward, *local;
    double *scales;           /* [steps][lanes], 1 / scale */
    size steps;
    size rows[MOST_LANES];    /* of the batch; any where there is none */
    size lengths[MOST_LANES]; /* 0: nothing here */
    char safe[MOST_LANES];
};

static void exponentials(const double *logs, size count, double *out) {
    double peak = -INFINITY;
    for (size i = 0; i < count; i++) peak = logs[i] > peak ? logs[i] : peak;
    for (size i = 0; i < count; i++) out[i] = exp(logs[i] - peak);
}

static void model_free(struct model *model) {
    free(model->start);
    moves_free(&model->into);
    moves_free(&model->out);
}

static int model_init(struct model *model, const struct crf *crf) {
    const size tags = crf->tags;
    memset(model, 0, sizeof *model);
    model->tags = tags;
    model->start = tables(tags + 2, tags, sizeof(double));
    if (!model->start) return 0;
    model->end = model->start + tags;
    model->moves = model->end + tags;
    exponentials(crf->start, tags, model->start);
    exponentials(crf->end, tags, model->end);
    exponentials(crf->transitions, tags * tags, model->moves);
    return moves_init(&model->into, model->moves, tags, 1, 0.0) &&
           moves_init(&model->out, model->moves, tags, 0, 0.0);
}

/* All that a call allocates. */
struct work {
    struct model model;
    struct chart chart;
    int lanes;
    double *after; /* [K][lanes] */
};

static int work_init(struct work *work, const struct batch *batch, const struct crf *crf) {
    const int lanes = lanes_for(batch->lengths[0]);
    const size steps = batch->lengths[0], cells = batch->tags * lanes;
    work->lanes = lanes;
    work->chart.forward = tables(3 * steps + 1, cells + lanes, sizeof(double));
    if (!model_init(&work->model, crf)) return 0;
    if (!work->chart.forward) return 0;
    work->chart.backward = work->chart.forward + steps * cells;
    work->chart.local = work->chart.backward + steps * cells;
    work->chart.scales = work->chart.local + steps * cells;
    work->after = work->chart.scales + steps * lanes;
    return 1;
}

static void work_free(struct work *work) {
    free(work->chart.forward);
    model_free(&work->model);
}

#define LANES 2
#define TIER
#include "posteriors_block.h"
#if HAVE_TIERS
#define LANES 4
#define TIER __attribute__((target("avx2")))
#include "posteriors_block.h"
#endif

/* Compute the tables of the rows that the chart names. */
static void fill(struct work *work, const struct batch *batch) {
#if HAVE_TIERS
    if (work->lanes == 4) fill_4(&work->chart, batch, &work->model, work->after);
#endif
    if (work->lanes == 2) fill_2(&work->chart, batch, &work->model, work->after);
}

/* N entities in a batch, row by row; four arrays [N]. */
struct spans {
    const size *rows, *starts, *ends, *labels;
    size count;
};

static int spans_fit(const struct spans *spans, const struct batch *batch, size labels) {
    for (size i = 0; i < spans->count; i++) {
        if (spans->rows[i] < 0 || spans->rows[i] >= batch->rows) return 0;
        if (spans->starts[i] < 0 || spans->starts[i] >= spans->ends[i]) return 0;
        if (spans->ends[i] > batch->lengths[spans->rows[i]]) return 0;
        if (spans->labels[i] < 0 || spans->labels[i] >= labels) return 0;
    }
    return 1;
}

/* Scaled probability of all that may follow an entity whose last tag is `tail`. */
static double what_follows(const struct chart *chart, const struct model *model, int row,
                           size end, size tail, const char *continuing, int lanes) {
    const size tags = model->tags;
    if (end == chart->lengths[row])
        return chart->backward[((end - 1) * tags + tail) * lanes + row];
    double sum = 0.0;
    for (size tag = 0; tag < tags; tag++) {
        size cell = (end * tags + tag) * lanes + row;
        if (!continuing[tag])
            sum += chart->local[cell] * chart->backward[cell] * model->moves[tail * tags + tag];
    }
    return sum;
}

/* Probability that span i, in row `row` of the chart, is an entity: all its tags are as the scheme
 * writes them, and the next one does not carry it on. */
static double span_probability(const struct chart *chart, const struct model *model,
                               const struct scheme *scheme, const struct spans *spans, size i,
                               int row, int lanes) {
    const size tags = model->tags, start = spans->starts[i], end = spans->ends[i];
    const size *places = scheme->places + 4 * spans->labels[i];
    size tag = end - start == 1 ? places[0] : places[1];
    double result = chart->forward[(start * tags + tag) * lanes + row];
    for (size step = start + 1; step < end; step++) {
        size next = step + 1 == end ? places[3] : places[2];
        result *= model->moves[tag * tags + next];
        result *= chart->local[(step * tags + next) * lanes + row];
        tag = next;
    }
    const char *continuing = scheme->continuing + spans->labels[i] * tags;
    result *= what_follows(chart, model, row, end, tag, continuing, lanes);
    return result < 1.0 ? result : 1.0;
}

/* Take the rows of the spans from i on into the chart, while there is room; returns the first span
 * that is left. */
static size take_rows(struct chart *chart, const struct spans *spans, const struct batch *batch,
                      size i, int lanes) {
    int taken = 0;
    for (; i < spans->count; i++) {
        size row = spans->rows[i];
        if (taken && row == chart->rows[taken - 1]) continue;
        if (taken == lanes) break;
        chart->rows[taken] = row;
        chart->lengths[taken++] = batch->lengths[row];
    }
    for (; taken < lanes; taken++) chart->rows[taken] = 0, chart->lengths[taken] = 0;
    return i;
}

/* Probabilities [N] of the spans, which come row by row; NaN in rows that leave float64's range.
 * Returns how many spans those are, or what is wrong. */
EXPORT size tagbelt_span_posteriors(const struct crf *crf, const struct scheme *scheme,
                                    const float *emissions, size step_stride, size row_stride,
                                    size steps, size rows, const size *lengths,
                                    const size *span_rows, const size *starts, const size *ends,
                                    const size *labels, size n, double *out) {
    const struct batch batch = {emissions,  step_stride, row_stride, steps,
                                rows,       crf->tags,   lengths};
    const struct spans spans = {span_rows, starts, ends, labels, n};
    if (!lengths_fit(&batch)) return BAD_LENGTHS;
    if (!spans_fit(&spans, &batch, scheme->labels)) return BAD_SPANS;
    if (n == 0) return 0;
    struct work work;
    size lost = work_init(&work, &batch, crf) ? 0 : NO_MEMORY;
    const int lanes = work.lanes;
    for (size i = 0; lost >= 0 && i < n;) {
        const size stop = take_rows(&work.chart, &spans, &batch, i, lanes);
        fill(&work, &batch);
        for (int row = 0; i < stop; i++) {
            row += span_rows[i] != work.chart.rows[row];
            out[i] = work.chart.safe[row]
                         ? span_probability(&work.chart, &work.model, scheme, &spans, i, row,
                                            lanes)
                         : NAN;
            lost += !work.chart.safe[row];
        }
    }
    work_free(&work);
    return lost;
}

static void write_marginals(const struct chart *chart, const struct batch *batch, double *out,
                            int row, int lanes) {
    const size tags = batch->tags, place = chart->rows[row];
    for (size step = 0; step < chart->lengths[row]; step++)
        for (size tag = 0; tag < tags; tag++) {
            size cell = (step * tags + tag) * lanes + row;
            double value = chart->forward[cell] * chart->backward[cell];
            out[(step * batch->rows + place) * tags + tag] = value < 1.0 ? value : 1.0;
        }
}

/* Probabilities [T][B][K] of each tag at each token; `out` must be zeros. Sets lost [B] where a row
 * leaves float64's range; its numbers mean nothing. Returns 0, or what is wrong. */
EXPORT size tagbelt_token_marginals(const struct crf *crf, const float *emissions,
                                    size step_stride, size row_stride, size steps, size rows,
                                    const size *lengths, double *out, char *lost) {
    const struct batch batch = {emissions,  step_stride, row_stride, steps,
                                rows,       crf->tags,   lengths};
    if (!lengths_fit(&batch)) return BAD_LENGTHS;
    if (rows == 0) return 0;
    struct work work;
    const size result = work_init(&work, &batch, crf) ? 0 : NO_MEMORY;
    const int lanes = work.lanes;
    for (size first = 0; !result && first < rows; first += lanes) {
        for (int row = 0; row < lanes; row++) {
            work.chart.rows[row] = first + row < rows ? first + row : 0;
            work.chart.lengths[row] = first + row < rows ? lengths[first + row] : 0;
        }
        fill(&work, &batch);
        for (int row = 0; row < lanes && first + row < rows; row++) {
            write_marginals(&work.chart, &batch, out, row, lanes);
            lost[first + row] = !work.chart.safe[row];
        }
    }
    work_free(&work);
    return result;
}
