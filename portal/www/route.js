/*
 * route.js
 *	  Addresses within the portal.
 */
import {address} from './api.js';

/* The address of a page with a filter; what has no value is left out. */
export function link(page, parameters = {})
{
	return `#/${address(page, parameters)}`;
}

/* Goes there; an address that is there already is shown again. */
export function go(page, parameters)
{
	const there = link(page, parameters);
	if (location.hash === there)
		refresh();
	else
		location.hash = there;
}

/* Shows the page on the screen again, with what is true now. */
export function refresh()
{
	dispatchEvent(new Event('refresh'));
}

/* The page and the filter that the address names. */
export function place()
{
	const [path, search] = location.hash.replace(/^#\/?/, '').split('?', 2);
	return {path, params: new URLSearchParams(search ?? '')};
}

/* The parameters as an object. */
export function filters(params)
{
	return Object.fromEntries(params);
}
