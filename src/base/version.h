/*
 * version.h
 *	  Which version this is. The Makefile and the portal read it here.
 *
 * What programs that know no C read is compared with it by
 * test/t/005_release.pl: webhook.control, META.json, CHANGELOG.md, and what
 * packaging/ has.
 */
#ifndef WEBHOOK_VERSION_H
#define WEBHOOK_VERSION_H

#define WEBHOOK_VERSION "1.0"	/* of the extension whose objects this library works with */
#define WEBHOOK_RELEASE "1.0.0" /* of the whole distribution; the objects are those of 1.0 */

#endif							/* WEBHOOK_VERSION_H */
