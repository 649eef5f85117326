/*
 * text_internal.h
 *	  Text on its way out, in UTF-8.
 */
#ifndef WEBHOOK_TEXT_INTERNAL_H
#define WEBHOOK_TEXT_INTERNAL_H

/*
 * A text of the database's encoding in UTF-8, terminated; the text itself if it
 * is that already. A character that has no equal in UTF-8 becomes U+FFFD, and
 * the first one that this process meets is reported by a WARNING. Needs no
 * transaction where client_encoding is UTF8.
 */
extern const char *webhook_text_to_utf8(const char *text, int length);

#endif							/* WEBHOOK_TEXT_INTERNAL_H */
