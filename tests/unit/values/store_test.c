/*
 * The store by itself: how a checkpoint is cut into transactions.
 */
#include "values_kit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "values_internal.h"

enum { ROWS = 40000, VALUE_BYTES = 1900 }; /* two rows a page: 20,000 leaves */

static struct kit kit;
static struct values_store store;
static struct values_item *items;
static struct values_entry *entry;

static int set_up(void **state)
{
    const char *why;

    (void)state;
    kit_make(&kit);
    items = calloc(ROWS, sizeof *items);
    entry = calloc(1, sizeof *entry + VALUE_BYTES);
    assert_non_null(items);
    assert_non_null(entry);
    *entry = (struct values_entry){.value_bytes = VALUE_BYTES, .origin = GW_VALUE_FROM_DEVICE};
    for (uint32_t i = 0; i < ROWS; i++)
        items[i] = (struct values_item){.key = values_key(i + 1, 'v', 1), .entry = entry};
    return values_store_open(&store, kit.store, VALUES_STORE_WRITE, &why);
}

static int tear_down(void **state)
{
    (void)state;
    values_store_close(&store);
    free(items);
    free(entry);
    kit_remove(&kit);
    return 0;
}

static size_t transactions_of_writing(uint32_t count, uint64_t offset)
{
    struct values_head head = {.position = {.segment = 7, .offset = offset}, .time_us = offset};
    MDB_envinfo before, after;

    assert_int_equal(mdb_env_info(store.env, &before), 0);
    memset(entry->value, (int)offset, VALUE_BYTES);
    assert_int_equal(values_store_write(&store, items, count, &head), 0);
    assert_int_equal(mdb_env_info(store.env, &after), 0);
    assert_int_equal(values_store_head(&store, &head), 0);
    assert_int_equal(head.position.segment, 7);
    assert_int_equal(head.position.offset, offset);
    return after.me_last_txnid - before.me_last_txnid;
}

static void a_checkpoint_is_as_few_transactions_as_memory_allows(void **state)
{
    struct values_view view = {.txn = NULL};
    struct gw_value value;
    uint64_t rows, bytes;

    (void)state;
    assert_int_equal(transactions_of_writing(0, 1), 1); /* the head alone */
    assert_int_equal(transactions_of_writing(ROWS, 2), 1);
    assert_int_equal(transactions_of_writing(ROWS, 3),
                     3); /* there are more leaves than it may hold */
    assert_int_equal(transactions_of_writing(100, 4), 1);
    values_store_size(&store, &rows, &bytes);
    assert_int_equal(rows, ROWS);
    assert_true(bytes > (uint64_t)ROWS * VALUE_BYTES);
    assert_int_equal(values_view_open(&store, &view), 0);
    assert_int_equal(values_view_renew(&view), 0);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_int_equal(values_view_get(&view, items[i].key, &value), 0);
        assert_int_equal(value.bytes.size, VALUE_BYTES);
        assert_int_equal(value.bytes.data[VALUE_BYTES - 1], i < 100 ? 4 : 3);
    }
    assert_int_equal(values_view_get(&view, values_key(ROWS + 1, 'v', 1), &value), -ENOENT);
    values_view_close(&view);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_checkpoint_is_as_few_transactions_as_memory_allows,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("values store", tests, NULL, NULL);
}
