#include "core/base/base.h"
#include "core/store/store.h"

int
store_append(struct store *store, const char *run, int64_t expected_seq,
	     const struct store_body *bodies, size_t n, struct error *err)
{
	return n ? store->ops->append(store, run, expected_seq, bodies, n, err) : 0;
}

int
store_read(struct store *store, const char *run, int64_t from_seq, store_event_fn *fn, void *ctx,
	   struct error *err)
{
	return store->ops->read(store, run, from_seq, fn, ctx, err);
}

int
store_list(struct store *store, store_run_fn *fn, void *ctx, struct error *err)
{
	return store->ops->list(store, fn, ctx, err);
}

void
store_close(struct store *store)
{
	if (store)
		store->ops->close(store);
}
