/* The host functions of a revert: records come in batches, reports go in batches. */
#include "core/base/base.h"
#include "core/worker/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ITEMS_MAX = 1000,         /* in one line at most */
	ITEMS_BYTES = 256 * 1024, /* likewise */
	ITEM_TEXT_MAX = 16 * 1024,
};

/* --- records --------------------------------------------------------------------- */

/* The pairs of a record, for as long as the batch is kept. */
static struct resite_kv *
kv_from_json(const json_t *kv, uint32_t *ret_n)
{
	struct resite_kv *pairs = calloc(json_object_size(kv) + 1, sizeof(*pairs));
	const char *key;
	json_t *value;

	if (!pairs)
		return NULL;
	*ret_n = 0;
	json_object_foreach((json_t *)(uintptr_t)kv, key, value)
		pairs[(*ret_n)++] = (struct resite_kv){.key = key,
						       .value = json_string_value(value)};
	return pairs;
}

/* Before more records are asked for, the parent hears of those that are done: few lines,
 * and little is untold when this process dies. */
static int
fetch_batch(struct resite_op *op)
{
	struct strbuf *sb;
	json_t *answer;
	int64_t id;
	int rc;

	pthread_mutex_lock(&op->out_lock);
	op_close_reverted(op);
	pthread_mutex_unlock(&op->out_lock);
	sb = op_line_begin(op, "pull");
	id = ++op->last_id;
	op_put_int(sb, "id", id);
	if (op->revert.again)
		strbuf_addstr(sb, ",\"again\":true");
	op->revert.again = false;
	op_line_end(op, false);
	answer = op_ask(op, id);
	if (!answer)
		return op_gone(op);
	json_decref(op->revert.batch);
	op->revert.batch = answer;
	op->revert.next = 0;
	op->revert.all = json_array_size(json_object_get(answer, "records")) == 0;
	rc = (int)json_int_or(answer, "rc", RESITE_ERR_BUG);
	if (rc != RESITE_OK)
		op_explain(op, "the undo records cannot be read: %s",
			   json_str_or(answer, "text", "no reason was given"));
	return rc;
}

int
op_undo_next(struct resite_op *op, uint32_t *version, const struct resite_kv **kv, uint32_t *n)
{
	const json_t *record;
	int rc;

	if (!op->revert.way) {
		op_explain(op, "undo_next belongs to revert");
		return RESITE_ERR_BUG;
	}
	while (!op->revert.all &&
	       op->revert.next >= json_array_size(json_object_get(op->revert.batch, "records")))
		if ((rc = fetch_batch(op)) != RESITE_OK)
			return rc;
	if (op->revert.all)
		return 0;
	record = json_array_get(json_object_get(op->revert.batch, "records"), op->revert.next++);
	free(op->revert.kv);
	op->revert.kv = kv_from_json(json_object_get(record, "kv"), n);
	if (!op->revert.kv) {
		op_explain(op, "out of memory");
		return RESITE_ERR_TRANSIENT;
	}
	op->revert.pulled++;
	*version = (uint32_t)json_int_or(record, "version", 0);
	*kv = op->revert.kv;
	return 1;
}

int
op_revert_way(struct resite_op *op)
{
	return op->revert.way;
}

/* --- reports --------------------------------------------------------------------- */

void
op_close_reverted(struct resite_op *op)
{
	struct strbuf *sb = &op->out;

	if (!op->revert.put_back && !op->revert.already && !op->revert.n_items)
		return;
	strbuf_addstr(sb, "{\"kind\":\"reverted\"");
	op_put_int(sb, "put_back", (int64_t)op->revert.put_back);
	op_put_int(sb, "already", (int64_t)op->revert.already);
	strbuf_addstr(sb, ",\"items\":[");
	strbuf_add(sb, op->revert.items.buf, op->revert.items.len);
	strbuf_addstr(sb, "]}\n");
	sb->failed |= op->revert.items.failed;
	strbuf_reset(&op->revert.items);
	op->revert.put_back = op->revert.already = op->revert.n_items = 0;
}

static void
add_item(struct resite_op *op, const char *object, int result, const char *was, const char *set,
	 const char *now)
{
	struct strbuf *sb = &op->revert.items;

	strbuf_addstr(sb, op->revert.n_items ? ",{\"result\":\"" : "{\"result\":\"");
	strbuf_addstr(sb, reverted_name(result));
	strbuf_addch(sb, '"');
	op_put_text(sb, "object", object, ITEM_TEXT_MAX);
	op_put_text(sb, "was", was, ITEM_TEXT_MAX);
	op_put_text(sb, "set", set, ITEM_TEXT_MAX);
	op_put_text(sb, "now", now, ITEM_TEXT_MAX);
	strbuf_addch(sb, '}');
	op->revert.n_items++;
}

/* What a look after a revert finds.  Who cannot look is believed. */
static void
judge(struct resite_op *op, const char *object, int result, bool looked)
{
	if (result == RESITE_REVERTED_PUT_BACK && looked) {
		if (!op->revert.ours++)
			snprintf(op->revert.first, sizeof(op->revert.first), "%s", object);
	} else if (result != RESITE_REVERTED_ALREADY && result != RESITE_REVERTED_PUT_BACK) {
		op->revert.others++;
	}
}

void
op_revert_again(struct resite_op *op)
{
	op->revert.way = RESITE_LOOK;
	op->revert.judging = op->revert.again = true;
	op->revert.all = false;
	op->revert.pulled = op->revert.done = op->revert.ours = op->revert.others = 0;
	op->revert.next = 0;
	json_decref(op->revert.batch);
	op->revert.batch = NULL;
}

int
op_reverted(struct resite_op *op, const char *object, int result, const char *was,
	    const char *set, const char *now)
{
	bool look = op->revert.way == RESITE_LOOK;
	bool unseen = look && result == RESITE_REVERTED_PUT_BACK && set && !now;

	if (!op->revert.way || !reverted_name(result)) {
		op_explain(op, op->revert.way ? "reverted was told an unknown result" :
			   "reverted belongs to revert");
		return RESITE_ERR_BUG;
	}
	if (atomic_load(&op->gone))
		return op_gone(op);
	pthread_mutex_lock(&op->out_lock);
	if (op->revert.judging)
		judge(op, object, result, !unseen);
	else if (result == RESITE_REVERTED_ALREADY)
		op->revert.already++;
	else if (result == RESITE_REVERTED_PUT_BACK && !look)
		op->revert.put_back++;
	else {
		op->revert.left++;
		add_item(op, object, result, was, set,
			 unseen ? "not looked at: only the revert itself knows" : now);
	}
	if (op->revert.n_items >= ITEMS_MAX || op->revert.items.len >= ITEMS_BYTES)
		op_close_reverted(op);
	op_unlock(op, false);
	op->revert.done++;
	op_progress(op, op->revert.done, op->revert.total, look ? "looked at" : "put back");
	return RESITE_OK;
}
