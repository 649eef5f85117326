/*
 * macros.h
 *	  What cppcheck has to know of the server's macros.
 *
 * It reads our files without the server's headers, which would take ten times as
 * long. Functions that it does not know may do anything; a macro that is half a
 * statement has to be one that it can read.
 */
#define foreach(cell, list) \
	for (cell = list_head(list); cell != NULL; cell = lnext(list, cell))
#define dlist_foreach(iter, head) \
	for (iter.cur = dlist_begin(head); iter.cur != NULL; iter.cur = dlist_step(iter.cur))
#define dlist_foreach_modify(iter, head) dlist_foreach(iter, head)

#define PG_TRY() if (may_fail())
#define PG_CATCH() else
#define PG_END_TRY() (void) 0
#define PG_FUNCTION_ARGS FunctionCallInfo fcinfo
#define PG_FUNCTION_INFO_V1(name) extern Datum name(PG_FUNCTION_ARGS)
#define PG_MODULE_MAGIC extern int server_version
#define PGDLLEXPORT
#define pg_noreturn _Noreturn

#define dlist_container(type, member, node) ((type *) container_of(node))
#define dlist_head_element(type, member, head) ((type *) container_of(head))
#define pairingheap_container(type, member, node) ((type *) container_of(node))
#define pairingheap_const_container(type, member, node) ((const type *) container_of(node))
#define unconstify(type, expression) ((type) (expression))

#define FLEXIBLE_ARRAY_MEMBER
#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
#define Min(a, b) ((a) < (b) ? (a) : (b))
#define Max(a, b) ((a) > (b) ? (a) : (b))
#define Assert(condition) assert(condition)
#define INT64CONST(number) number##LL
#define UINT64CONST(number) number##ULL
#define USECS_PER_SEC INT64CONST(1000000)
