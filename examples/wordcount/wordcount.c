/* Counts the words of a text.

   An HPy extension of one function. It reads the text as UTF-8, counts in a hash table of its own while other threads run
   Python, and makes Python objects only for the distinct words. */

/* All that a call changes is its own, so threads can count at the same time where there is no GIL. */
#define HPY_MOD_GIL_NOT_USED
#include <hpy.h>
#include <stdlib.h>
#include <string.h>

/* A word, as a piece of the text, and how often it came. */
typedef struct {
    const char *start;
    size_t length;
    uint64_t hash;
    int64_t count;
} Word;

/* Open addressing; the capacity is a power of two and at most half of it is used. */
typedef struct {
    Word *slots;
    size_t capacity;
    size_t used;
} Table;

static int table_init(Table *table)
{
    table->capacity = 1024;
    table->used = 0;
    table->slots = (Word *)calloc(table->capacity, sizeof(Word));
    return table->slots != NULL;
}

/* The slot of a word, or the free one where it belongs. */
static Word *table_find(const Table *table, const char *start, size_t length, uint64_t hash)
{
    size_t i = (size_t)hash & (table->capacity - 1);
    for (;;) {
        Word *word = &table->slots[i];
        if (word->start == NULL)
            return word;
        if (word->hash == hash && word->length == length && memcmp(word->start, start, length) == 0)
            return word;
        i = (i + 1) & (table->capacity - 1);
    }
}

static int table_grow(Table *table)
{
    Table larger = { NULL, table->capacity * 2, table->used };
    larger.slots = (Word *)calloc(larger.capacity, sizeof(Word));
    if (larger.slots == NULL)
        return 0;
    for (size_t i = 0; i < table->capacity; i++) {
        const Word *word = &table->slots[i];
        if (word->start != NULL)
            *table_find(&larger, word->start, word->length, word->hash) = *word;
    }
    free(table->slots);
    *table = larger;
    return 1;
}

static int table_count(Table *table, const char *start, size_t length, uint64_t hash)
{
    Word *word = table_find(table, start, length, hash);
    if (word->start == NULL) {
        word->start = start;
        word->length = length;
        word->hash = hash;
        if (++table->used > table->capacity / 2) {
            word->count = 1;
            return table_grow(table);
        }
    }
    word->count++;
    return 1;
}

/* Letters, digits and underscores of ASCII, and whatever is not ASCII. */
static int in_word(unsigned char c)
{
    return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Characters, not bytes: all bytes of UTF-8 but those that continue a character. */
static HPy_ssize_t characters(const char *start, size_t length)
{
    HPy_ssize_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)start[i] & 0xc0) != 0x80;
    return count;
}

/* Puts all words of the text into the table. Uses no Python. Returns 0 if there is no memory. */
static int count_words(Table *table, const char *text, size_t size, HPy_ssize_t min_length)
{
    size_t i = 0;
    while (i < size) {
        while (i < size && !in_word((unsigned char)text[i]))
            i++;
        size_t start = i;
        uint64_t hash = 14695981039346656037u; /* FNV-1a */
        while (i < size && in_word((unsigned char)text[i]))
            hash = (hash ^ (unsigned char)text[i++]) * 1099511628211u;
        if (i > start && characters(text + start, i - start) >= min_length) {
            if (!table_count(table, text + start, i - start, hash ^ (hash >> 32)))
                return 0;
        }
    }
    return 1;
}

/* A str of one word. `buffer` has room for the word and a NUL. */
static HPy word_to_str(HPyContext *ctx, const Word *word, char *buffer)
{
    memcpy(buffer, word->start, word->length);
    buffer[word->length] = '\0';
    return HPyUnicode_FromString(ctx, buffer);
}

/* A dict of all words. */
static HPy table_to_dict(HPyContext *ctx, const Table *table)
{
    size_t longest = 0;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].start != NULL && table->slots[i].length > longest)
            longest = table->slots[i].length;
    char *buffer = (char *)malloc(longest + 1);
    if (buffer == NULL)
        return HPyErr_NoMemory(ctx);

    HPy dict = HPyDict_New(ctx);
    for (size_t i = 0; i < table->capacity && !HPy_IsNull(dict); i++) {
        const Word *word = &table->slots[i];
        if (word->start == NULL)
            continue;
        HPy key = word_to_str(ctx, word, buffer);
        HPy value = HPyLong_FromInt64_t(ctx, word->count);
        int failed = HPy_IsNull(key) || HPy_IsNull(value) || HPy_SetItem(ctx, dict, key, value) < 0;
        HPy_Close(ctx, key);
        HPy_Close(ctx, value);
        if (failed) {
            HPy_Close(ctx, dict);
            dict = HPy_NULL;
        }
    }
    free(buffer);
    return dict;
}

HPyDef_METH(count, "count", HPyFunc_KEYWORDS,
            .doc = "count(text, *, lower=False, min_length=1)\n--\n\n"
                   "Return a dict of the words in text and how often each comes.\n\n"
                   "A word is a run of ASCII letters, digits and underscores and of characters that are not ASCII.\n"
                   "With lower, ASCII capitals count as small letters. Words of less than min_length characters are\n"
                   "left out.")
static HPy count_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    static const char *keywords[] = { "text", "lower", "min_length", NULL };
    (void)self;
    HPy h_text;
    int lower = 0;
    HPy_ssize_t min_length = 1;
    HPyTracker tracker;
    if (!HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "O|$pn:count", keywords, &h_text, &lower, &min_length))
        return HPy_NULL;

    HPy result = HPy_NULL;
    char *lowered = NULL;
    Table table = { NULL, 0, 0 };
    HPy_ssize_t size;
    const char *text = NULL;
    int enough_memory = 1;
    if (!HPyUnicode_Check(ctx, h_text)) {
        HPy type = HPy_Type(ctx, h_text);
        HPyErr_Format(ctx, ctx->h_TypeError, "count() argument 'text' must be str, not %s", HPyType_GetName(ctx, type));
        HPy_Close(ctx, type);
        goto done;
    }
    text = HPyUnicode_AsUTF8AndSize(ctx, h_text, &size);
    if (text == NULL)
        goto done;

    /* The text's memory stays as long as its handle is open, which the tracker takes care of. */
    HPy_BEGIN_LEAVE_PYTHON(ctx)
    if (lower) {
        lowered = (char *)malloc((size_t)size + 1);
        enough_memory = lowered != NULL;
        for (HPy_ssize_t i = 0; enough_memory && i < size; i++)
            lowered[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    }
    enough_memory = enough_memory && table_init(&table)
        && count_words(&table, lower ? lowered : text, (size_t)size, min_length);
    HPy_END_LEAVE_PYTHON(ctx)

    result = enough_memory ? table_to_dict(ctx, &table) : HPyErr_NoMemory(ctx);

done:
    free(table.slots);
    free(lowered);
    HPyTracker_Close(ctx, tracker);
    return result;
}

static HPyDef *defines[] = { &count, NULL };
static HPyModuleDef moduledef = {
    .doc = "Counts the words of a text.",
    .defines = defines,
};

HPy_MODINIT(wordcount, moduledef)
