/*
 * fixed_settings_internal.h
 *	  Settings under which values of a watched row are rendered, so that one
 *	  value has one text, whoever writes.
 */
#ifndef WEBHOOK_FIXED_SETTINGS_INTERNAL_H
#define WEBHOOK_FIXED_SETTINGS_INTERNAL_H

/*
 * The settings that the text of a type's values follows, as a set of bits; 0:
 * none. For a type that is not known here it is all of them.
 */
extern int	webhook_fixed_settings_of(Oid type);

/*
 * Set these settings. Returns a level for webhook_fixed_settings_end(), which
 * sets them back; an error does so, too.
 */
extern int	webhook_fixed_settings_begin(int settings);
extern void webhook_fixed_settings_end(int level);

#endif							/* WEBHOOK_FIXED_SETTINGS_INTERNAL_H */
