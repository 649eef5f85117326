/*
 * directory.c
 *	  The identity of the data directory: the file webhook.directory in it.
 *
 * A copy of the data directory, made by pg_basebackup for example, has all that
 * the original has, and must not send what the original sends. The file tells
 * them apart: it has a random id, and its own inode number and time of birth,
 * which no copy of the file has. A directory whose file is missing, or was
 * copied, gets a new id. Checkpoints hold the id of the directory that they
 * were written in; worker/origin.c compares. A directory that starts with the
 * recovery of a backup gets a new id, too: a restore may leave a file alone that
 * has not changed.
 *
 * A standby is a copy, too, but one that may be promoted. So the file also
 * says whether the server has been a standby in this directory, and not on its
 * way to a recovery target. That stays after a promotion, for the databases
 * whose worker starts later, and is lost with the identity in a copy.
 *
 * The postmaster reads the file when it starts and keeps the result over
 * restarts after a crash. The file is replaced, never changed in place, so that
 * a crash leaves the former one. A file that cannot be read counts as copied.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "common/string.h"
#include "storage/fd.h"

#include "process/directory_internal.h"

#define DIRECTORY_FILE "webhook.directory"
#define TEMPORARY_FILE DIRECTORY_FILE ".tmp"

#define FORMAT \
	"id %s\n" \
	"inode " UINT64_FORMAT "\n" \
	"born %s\n" \
	"standby %d\n"
#define FORMAT_SCAN "id %32[0-9a-f] inode %31[0-9] born %47s standby %7[01]"

/* What a file has that its copies do not have. */
typedef struct FileIdentity
{
	uint64		inode;
	char		born[48];		/* time of birth, seconds and nanoseconds; "-": the file system
								 * has none */
} FileIdentity;

static struct
{
	WebhookDirectory directory; /* an empty id: not identified yet */
}			own;

static bool read_file(WebhookDirectory *directory);
static void write_file(const WebhookDirectory *directory);
static bool identity_of(int file, FileIdentity *identity);
static bool is_standby(void);
static bool is_restored(const WebhookDirectory *directory);
static void make_id(char *id);
static void report_failure(const char *action);

void
webhook_directory_identify(WebhookDirectory *directory)
{
	if (own.directory.id[0] == '\0')
	{
		WebhookDirectory found = {0};
		bool		valid = read_file(&found);
		bool		standby = is_standby();

		if (!valid || is_restored(&found))
		{
			make_id(found.id);
			found.standby = false;
			valid = false;
		}
		if (!valid || (standby && !found.standby))
		{
			found.standby |= standby;
			write_file(&found);
		}
		own.directory = found;
	}
	*directory = own.directory;
}

/* Returns false if there is no file, or it is a copy of another directory's. */
static bool
read_file(WebhookDirectory *directory)
{
	int			file = OpenTransientFile(DIRECTORY_FILE, O_RDONLY | PG_BINARY);
	FileIdentity actual;
	char		text[256];
	char		inode[32];
	char		born[48];
	char		standby[8];
	ssize_t		length;
	bool		identified;

	if (file < 0)
		return false;
	identified = identity_of(file, &actual);
	length = read(file, text, sizeof(text) - 1);
	CloseTransientFile(file);
	if (!identified || length <= 0)
		return false;
	text[length] = '\0';
	if (sscanf(text, FORMAT_SCAN, directory->id, inode, born, standby) != 4 ||
		strlen(directory->id) != sizeof(directory->id) - 1)
		return false;
	directory->standby = standby[0] == '1';
	return strtou64(inode, NULL, 10) == actual.inode &&
		(strcmp(born, actual.born) == 0 || strcmp(born, "-") == 0 ||
		 strcmp(actual.born, "-") == 0);
}

/* Write the file anew, durably. */
static void
write_file(const WebhookDirectory *directory)
{
	FileIdentity identity;
	char		text[256];
	int			length;
	int			file;

	/* A file that an earlier crash has left is not written to. */
	(void) unlink(TEMPORARY_FILE);
	file = OpenTransientFile(TEMPORARY_FILE, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY);
	if (file < 0)
		report_failure("create");
	if (!identity_of(file, &identity))
		report_failure("stat");
	length = snprintf(text, sizeof(text), FORMAT, directory->id, identity.inode,
					  identity.born, directory->standby);
	errno = 0;
	if (write(file, text, length) != length)
	{
		if (errno == 0)
			errno = ENOSPC;
		report_failure("write");
	}
	if (pg_fsync(file) != 0)
		report_failure("fsync");
	if (CloseTransientFile(file) != 0)
		report_failure("close");
	(void) durable_rename(TEMPORARY_FILE, DIRECTORY_FILE, FATAL);
}

/* The identity of an open file. Returns false, with errno, if there is none. */
static bool
identity_of(int file, FileIdentity *identity)
{
	struct stat status;

#ifdef STATX_BTIME
	struct statx extended;

	if (statx(file, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &extended) == 0)
	{
		identity->inode = extended.stx_ino;
		if (extended.stx_mask & STATX_BTIME)
			snprintf(identity->born, sizeof(identity->born), "%lld.%09u",
					 (long long) extended.stx_btime.tv_sec, extended.stx_btime.tv_nsec);
		else
			strlcpy(identity->born, "-", sizeof(identity->born));
		return true;
	}
#endif
	if (fstat(file, &status) != 0)
		return false;
	identity->inode = status.st_ino;
	strlcpy(identity->born, "-", sizeof(identity->born));
	return true;
}

/* Returns true if the server starts as a standby that nothing but a promotion ends. */
static bool
is_standby(void)
{
	struct stat status;

	return stat(STANDBY_SIGNAL_FILE, &status) == 0 &&
		recoveryTarget == RECOVERY_TARGET_UNSET;
}

/*
 * Returns true if the server starts with the recovery of a backup: the directory was
 * brought back to former contents, perhaps by a tool that has left our file alone. The
 * server renames the label of a base backup once it has read it.
 */
static bool
is_restored(const WebhookDirectory *directory)
{
	struct stat status;

	if (stat(STANDBY_SIGNAL_FILE, &status) == 0)
		return recoveryTarget != RECOVERY_TARGET_UNSET && !directory->standby;
	return stat(RECOVERY_SIGNAL_FILE, &status) == 0 || stat(BACKUP_LABEL_FILE, &status) == 0;
}

static void
make_id(char *id)
{
	uint8		bytes[16];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	for (int i = 0; i < lengthof(bytes); i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
}

static void
report_failure(const char *action)
{
	ereport(FATAL,
			(errcode_for_file_access(),
			 errmsg("could not %s file \"%s\": %m", action, TEMPORARY_FILE)));
}
