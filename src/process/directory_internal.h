/*
 * directory_internal.h
 *	  The identity of the data directory.
 */
#ifndef WEBHOOK_DIRECTORY_INTERNAL_H
#define WEBHOOK_DIRECTORY_INTERNAL_H

#include "process/shmem.h"

/*
 * In the postmaster, before any other process exists: identify the data
 * directory, writing its file if need be. FATAL if the file cannot be written.
 */
extern void webhook_directory_identify(WebhookDirectory *directory);

#endif							/* WEBHOOK_DIRECTORY_INTERNAL_H */
