/*
 * crowd.c
 *	  All connections of clients, and which one has to go.
 */
#include "portal/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "portal/buffer.h"
#include "portal/times.h"

PortalGuest *
portal_crowd_add(PortalCrowd *crowd, int fd, const char *from, int64_t now)
{
	PortalGuest *guest = portal_new(sizeof(PortalGuest));

	guest->fd = fd;
	strcpy(guest->from, from);
	guest->deadline = now + PORTAL_FIRST_REQUEST;
	guest->next = crowd->first;
	if (crowd->first != NULL)
		crowd->first->before = guest;
	crowd->first = guest;
	crowd->nguests++;
	return guest;
}

void
portal_crowd_remove(PortalCrowd *crowd, PortalGuest *guest)
{
	if (guest->next != NULL)
		guest->next->before = guest->before;
	if (guest->before != NULL)
		guest->before->next = guest->next;
	else
		crowd->first = guest->next;
	crowd->nguests--;
	free(guest);
}

PortalGuest *
portal_crowd_next_to_go(PortalCrowd *crowd, int64_t now)
{
	PortalGuest *earliest = NULL;
	PortalGuest *earliest_of_address = NULL;
	PortalGuest *newest = crowd->first;
	int			nwaiting = 0;
	int			nof_address = 0;

	/* Only the newest one can have brought its address over its share. */
	for (PortalGuest *guest = crowd->first; guest != NULL; guest = guest->next)
	{
		if (guest->is_leaving || guest->deadline == PORTAL_NEVER)
			continue;
		nwaiting++;
		if (earliest == NULL || guest->deadline < earliest->deadline)
			earliest = guest;
		if (newest->from[0] == '\0' || strcmp(guest->from, newest->from) != 0)
			continue;
		nof_address++;
		if (earliest_of_address == NULL || guest->deadline < earliest_of_address->deadline)
			earliest_of_address = guest;
	}
	if (nof_address > PORTAL_MAX_OF_ADDRESS)
		earliest = earliest_of_address;
	else if (earliest != NULL && earliest->deadline > now && nwaiting <= PORTAL_MAX_WAITING_FOR)
		earliest = NULL;
	if (earliest != NULL)
		earliest->is_leaving = 1;
	return earliest;
}
