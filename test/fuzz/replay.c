/*
 * replay.c
 *	  A fuzz target over its kept corpus, in TAP: what was found once is
 *	  looked for in each run of the tests, without a fuzzer.
 *
 * TARGET is the target's name, CORPUS the folder of its inputs. Each input is a block of its own
 * size, so that a byte read beyond it is seen.
 */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"
#include "unit.h"

#ifndef CORPUS
#define CORPUS "test/fuzz/corpus/" TARGET
#endif
#define INPUT_ROOM 65536

/* Returns false if the input cannot be read, or is too large for a corpus. */
static bool
replay(const char *name)
{
	static char buffer[INPUT_ROOM];
	char		path[512];
	size_t		size;
	uint8_t    *data;
	FILE	   *file;

	snprintf(path, sizeof(path), CORPUS "/%s", name);
	file = fopen(path, "rb");
	if (file == NULL)
		return false;
	size = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	data = malloc(size > 0 ? size : 1);
	if (size == sizeof(buffer) || data == NULL)
		return false;
	memcpy(data, buffer, size);

	/* After a crash, the last name that was printed is the input that caused it. */
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return true;
}

int
main(void)
{
	DIR		   *directory = opendir(CORPUS);
	struct dirent *entry;
	int			inputs = 0;
	int			unread = 0;

	ok(directory != NULL, "there is a corpus for " TARGET);
	if (directory == NULL)
	{
		printf("#   %s: %s\n", CORPUS, strerror(errno));
		return unit_done();
	}
	while ((entry = readdir(directory)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		inputs++;
		if (!replay(entry->d_name))
			unread++;
	}
	closedir(directory);
	ok(inputs > 0, TARGET ": %d inputs, and all that must hold does", inputs);
	is_int(unread, 0, "each was read");
	return unit_done();
}
