/* Features of tokens in their sentences, as inference/native/context.py wants them: pairs, matches of
 * term lists, words of a lexicon, and the rows of bytes that a network reads. All is what numpy makes
 * of it (tagbelt.data.lexicon, inference/scoring/context.py), to the bit.
 *
 * Codes are below the size of their alphabet, and sentences hold as many as there are: context.py
 * checks it. There is no state, so any number of threads may call. */

#include "exact.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Nodes of one depth of a trie; see SequenceMatcher in data/lexicon/matching.py. Those below node k
 * of the depth above have keys [first[k]] to [first[k + 1] - 1], which are k * size + code. */
struct depth {
    const int64_t *keys;
    const int32_t *first, *sequences;
};

/* Sequences by their tokens: `single` [size] those of one token, -1 where there is none. */
struct trie {
    int64_t size;
    int32_t depths;
    const struct depth *depth;
    const int64_t *single;
};

/* Matches by rising start, then end (exclusive). */
struct matches {
    int64_t count;
    int32_t *starts, *ends, *sequences;
};

/* The node below `node` for `code`, or -1. */
static inline int64_t below(const struct depth *depth, int64_t size, int64_t node, int64_t code) {
    const int64_t wanted = node * size + code;
    const int64_t *key = depth->keys + depth->first[node];
    int64_t left = depth->first[node + 1] - depth->first[node];
    if (left < 1) return -1;
    while (left > 1) {
        const int64_t half = left / 2;
        key += key[half] <= wanted ? half : 0; /* without a branch: it could not be foretold */
        left -= half;
    }
    return *key == wanted ? key - depth->keys : -1;
}

/* The row [n] of each token's pair with the next one, `nothing` behind a sentence's end; 0 if none. */
EXPORT void tagbelt_pairs(const struct trie *pairs, int64_t nothing, const int64_t *codes,
                          const int64_t *lengths, int64_t sentences, int64_t *rows) {
    for (int64_t sentence = 0; sentence < sentences; sentence++) {
        const int64_t *const end = codes + lengths[sentence];
        for (; codes < end; codes++) {
            const int64_t next = codes + 1 < end ? codes[1] : nothing;
            const int64_t node = below(pairs->depth, pairs->size, *codes, next);
            *rows++ = node < 0 ? 0 : pairs->depth->sequences[node];
        }
    }
}

/* All matches within sentences; of those beyond `room` only how many there are. */
EXPORT int64_t tagbelt_matches(const struct trie *trie, const int64_t *codes,
                               const int64_t *lengths, int64_t sentences, int64_t room,
                               struct matches *found) {
    int64_t count = 0, start = 0;
#define FOUND(stop, sequence)                                                      \
    do {                                                                           \
        if (count < room) {                                                        \
            found->starts[count] = start;                                          \
            found->ends[count] = stop;                                             \
            found->sequences[count] = sequence;                                    \
        }                                                                          \
        count++;                                                                   \
    } while (0)
    for (int64_t sentence = 0; sentence < sentences; sentence++) {
        for (const int64_t end = start + lengths[sentence]; start < end; start++) {
            int64_t node = codes[start];
            if (!node) continue; /* in no sequence */
            if (trie->single[node] >= 0) FOUND(start + 1, trie->single[node]);
            for (int64_t depth = 0; depth < trie->depths && start + depth + 1 < end; depth++) {
                node = below(trie->depth + depth, trie->size, node, codes[start + depth + 1]);
                if (node < 0) break;
                const int32_t sequence = trie->depth[depth].sequences[node];
                if (sequence >= 0) FOUND(start + depth + 2, sequence);
            }
        }
    }
#undef FOUND
    return count;
}

/* ---- flags of term lists; see data/lexicon/gazetteer.py ---- */

enum { BEGIN, MIDDLE, END, SINGLE };

/* The columns of sequence k are columns[first[k]] and counts[k] - 1 more; a token has `width` flags.
 * `scores` [K] and `token_scores` [size] are NULL where nothing is segmented; see Segmenter. */
struct types {
    const int64_t *columns, *first, *counts;
    int64_t width;
    const int64_t *scores, *token_scores;
};

static void mark(const struct types *types, const struct matches *matches, int64_t match,
                 int64_t shift, uint8_t *flags) {
    const int64_t start = matches->starts[match], last = matches->ends[match] - 1;
    const int64_t sequence = matches->sequences[match], width = types->width;
    const int64_t *column = types->columns + types->first[sequence];
    for (int64_t i = 0; i < types->counts[sequence]; i++) {
        uint8_t *own = flags + column[i] + shift;
        own[start * width + (start == last ? SINGLE : BEGIN)] = 1;
        if (start < last) own[last * width + END] = 1;
        for (int64_t token = start + 1; token < last; token++) own[token * width + MIDDLE] = 1;
    }
}

/* Mark the words of the most probable segmentation: weighted interval scheduling, as best_schedule
 * in data/lexicon/segmentation.py has it. */
static void mark_words(const struct types *types, const struct matches *matches,
                       const int64_t *codes, int64_t tokens, uint8_t *flags, int64_t *room) {
    int64_t *before = room, *best = before + tokens + 1; /* up to a token; without words, and with */
    int64_t *last = best + tokens + 1; /* the word that ends there, -1 if none does */
    int64_t *alone = last + tokens + 1; /* the match of that token alone */
    before[0] = 0;
    for (int64_t token = 0; token <= tokens; token++) {
        best[token] = 0;
        last[token] = alone[token] = -1;
        if (token < tokens) before[token + 1] = before[token] + types->token_scores[codes[token]];
    }
    for (int64_t token = 0, match = 0; token <= tokens; token++) {
        if (token && best[token - 1] >= best[token]) best[token] = best[token - 1], last[token] = -1;
        for (; match < matches->count && matches->starts[match] == token; match++) {
            const int64_t end = matches->ends[match], score = types->scores[matches->sequences[match]];
            if (end == token + 1) {
                alone[token] = match;
                continue;
            }
            const int64_t gain = score - (before[end] - before[token]);
            if (gain > 0 && best[token] + gain > best[end])
                best[end] = best[token] + gain, last[end] = match;
        }
    }
    const int64_t shift = types->width / 2, never = -((int64_t)1 << 62);
    for (int64_t token = tokens; token > 0;) {
        int64_t match = last[token];
        token = match < 0 ? token - 1 : matches->starts[match];
        if (match < 0) match = alone[token];
        if (match >= 0 && types->scores[matches->sequences[match]] > never)
            mark(types, matches, match, shift, flags);
    }
}

/* Set flags [tokens][width], which are zeros; `room` are 4 (tokens + 1) numbers. */
EXPORT void tagbelt_flags(const struct types *types, const struct matches *matches,
                          const int64_t *codes, int64_t tokens, uint8_t *flags, int64_t *room) {
    for (int64_t match = 0; match < matches->count; match++) mark(types, matches, match, 0, flags);
    if (types->scores) mark_words(types, matches, codes, tokens, flags, room);
}

/* ---- words of a lexicon; see data/lexicon/covering.py ---- */

enum { SETS = 4 };

static inline int64_t set_of(const struct matches *matches, int64_t match, int64_t token) {
    const int64_t start = matches->starts[match], last = matches->ends[match] - 1;
    const int64_t kind = start == last ? SINGLE : token == start ? BEGIN : token == last ? END : MIDDLE;
    return token * SETS + kind;
}

/* Where the words of each set begin, starts [4 tokens + 1], of room for one more, which are zeros;
 * `totals` [tokens], zeros too, are the sums of the words' frequencies. Returns how many there are. */
EXPORT int64_t tagbelt_cover_starts(const struct matches *matches, const int64_t *counts,
                                    int64_t tokens, int64_t *starts, double *totals) {
    for (int64_t match = 0; match < matches->count; match++)
        for (int64_t token = matches->starts[match]; token < matches->ends[match]; token++) {
            starts[set_of(matches, match, token) + 2]++;
            totals[token] += counts[matches->sequences[match]];
        }
    for (int64_t set = 2; set < SETS * tokens + 2; set++) starts[set] += starts[set - 1];
    return starts[SETS * tokens + 1];
}

/* The words and their weights, after `tagbelt_cover_starts`, which left where to put them one place
 * behind where it is to be told. */
EXPORT void tagbelt_covers(const struct matches *matches, const int64_t *counts,
                           const double *totals, int64_t *starts, int32_t *words, float *weights) {
    for (int64_t match = 0; match < matches->count; match++)
        for (int64_t token = matches->starts[match]; token < matches->ends[match]; token++) {
            const int64_t place = starts[set_of(matches, match, token) + 1]++;
            words[place] = matches->sequences[match];
            weights[place] = SETS * (double)counts[words[place]] / totals[token];
        }
}

/* ---- rows of bytes; see ContextRows in inference/scoring/context.py ---- */

enum { ZERO = 128, LIMIT = 127, MOST_NUMBERS = 1024 };

/* Rows of `tokens` tokens. `forms` [tokens + 1] and `pairs` [tokens + 1] are rows of tables, those of
 * forms `form_stride` bytes apart; flags [tokens + 1][flag_count] index `values` [2]. The last of each
 * is for padding. `word_size` is 0 without a lexicon, `scale` what makes levels of its sums. */
struct rows {
    int64_t tokens;
    const uint8_t *form_table, *pair_table, *values, *flags;
    const int64_t *forms, *pairs;
    int64_t form_stride, form_size, pair_size, flag_count, word_size;
    const float *word_table, *weights;
    const int32_t *words;
    const int64_t *starts;
    float scale;
};

/* The levels of the weighted sum of the vectors of a set's words. */
static void put_sum(const struct rows *rows, int64_t first, int64_t end, uint8_t *restrict out) {
    const int64_t size = rows->word_size;
    const float scale = rows->scale;
    float sums[MOST_NUMBERS];
    if (first == end) {
        memset(out, ZERO, size);
        return;
    }
    memset(sums, 0, size * sizeof *sums);
    for (int64_t place = first; place < end; place++) {
        const float *restrict word = rows->word_table + rows->words[place] * size;
        const float weight = rows->weights[place];
        for (int64_t i = 0; i < size; i++) sums[i] += word[i] * weight;
    }
    const float whole = 12582912.0f; /* 1.5 * 2^23: such sums have no fraction, halves go to even */
    for (int64_t i = 0; i < size; i++) {
        float level = sums[i] * scale;
        level = level < -LIMIT ? -LIMIT : level > LIMIT ? LIMIT : level;
        out[i] = (int)((level + whole) - whole) + ZERO;
    }
}

/* Ask for what the tokens AHEAD of one need of the tables, which are larger than caches. */
static inline void prefetch(const struct rows *rows, int64_t token) {
#if defined(__GNUC__)
    enum { AHEAD = 8, LINE = 64 };
    if (token + AHEAD >= rows->tokens) return;
    __builtin_prefetch(rows->pair_table + rows->pairs[token + AHEAD] * rows->pair_size);
    if (!rows->word_size) return;
    const int64_t set = SETS * (token + AHEAD);
    for (int64_t place = rows->starts[set]; place < rows->starts[set + SETS]; place++) {
        const char *word = (const char *)(rows->word_table + rows->words[place] * rows->word_size);
        for (size_t byte = 0; byte < rows->word_size * sizeof(float); byte += LINE)
            __builtin_prefetch(word + byte);
    }
#endif
}

/* One token's row; that of padding is behind the last. */
static void put_row(const struct rows *rows, int64_t token, uint8_t *restrict out) {
    memcpy(out, rows->form_table + rows->forms[token] * rows->form_stride, rows->form_size);
    out += rows->form_size;
    memcpy(out, rows->pair_table + rows->pairs[token] * rows->pair_size, rows->pair_size);
    out += rows->pair_size;
    const uint8_t absent = rows->values[0], gain = rows->values[1] - absent;
    const int64_t flag_count = rows->flag_count;
    const uint8_t *flags = rows->flags + token * flag_count;
    for (int64_t i = 0; i < flag_count; i++) out[i] = absent + flags[i] * gain;
    out += flag_count;
    if (!rows->word_size) return;
    if (token == rows->tokens) {
        memset(out, ZERO, SETS * rows->word_size);
        return;
    }
    for (int64_t set = SETS * token; set < SETS * (token + 1); set++, out += rows->word_size)
        put_sum(rows, rows->starts[set], rows->starts[set + 1], out);
}

/* The rows of the tokens at `index` [steps][columns], of padding for -1: out [steps][columns][size].
 * A column is a sentence, whose tokens are neighbours in all that was looked up. */
EXPORT void tagbelt_rows(const struct rows *rows, const int64_t *index, int64_t steps,
                         int64_t columns, int64_t size, uint8_t *out) {
    for (int64_t column = 0; column < columns; column++)
        for (int64_t place = column; place < steps * columns; place += columns) {
            const int64_t token = index[place] < 0 ? rows->tokens : index[place];
            prefetch(rows, token);
            put_row(rows, token, out + place * size);
        }
}

/* As `tagbelt_rows`, for tokens that have neither flags nor words: each form and pair has one row, so
 * that the kernels see which are common. places [steps][columns] tells which; returns how many.
 * `slots` [2^bits] are zeros, more than there are places, of which `owners` has as many. */
EXPORT int64_t tagbelt_distinct_rows(const struct rows *rows, const int64_t *index, int64_t steps,
                                     int64_t columns, int64_t size, int32_t bits, int32_t *slots,
                                     int64_t *owners, int64_t *places, uint8_t *out) {
    int64_t count = 0;
    for (int64_t column = 0; column < columns; column++)
        for (int64_t place = column; place < steps * columns; place += columns) {
            const int64_t token = index[place] < 0 ? rows->tokens : index[place];
            const int64_t form = rows->forms[token], pair = rows->pairs[token];
            uint64_t slot = ((uint64_t)form << 32 ^ (uint64_t)pair) * 0x9E3779B97F4A7C15u;
            slot >>= 64 - bits;
            for (; slots[slot]; slot = (slot + 1) & (((uint64_t)1 << bits) - 1)) {
                const int64_t owner = owners[slots[slot] - 1];
                if (rows->forms[owner] == form && rows->pairs[owner] == pair) break;
            }
            if (!slots[slot]) {
                put_row(rows, token, out + count * size);
                owners[count++] = token;
                slots[slot] = count;
            }
            places[place] = slots[slot] - 1;
        }
    return count;
}
