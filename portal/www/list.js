/*
 * list.js
 *	  What stands around a list: the filter above it, which is in the address, and the way
 *	  to its other pages below.
 */
import {address, mine} from './api.js';
import {h, shortUrl} from './dom.js';
import {fromInput, timeField} from './fields.js';
import {field} from './form.js';
import {go, link} from './route.js';

/* The form of a filter.  Its fields are named as the parameters are; "keep" are parameters
 * that have no field. */
export function filterForm(page, keep, ...fields)
{
	const form = h('form', {class: 'filters', role: 'search', onsubmit: event =>
	{
		event.preventDefault();
		const values = Object.fromEntries([...new FormData(form)].map(([name, value]) =>
			[name, value.trim()]));
		for (const input of form.querySelectorAll('[type=datetime-local]'))
			values[input.name] = fromInput(input.value);
		go(page, {...keep, ...values});
	}}, fields, h('button', {class: 'button primary'}, 'Search'));
	return form;
}

export function subscriptionField(value)
{
	return field({label: 'Subscription', name: 'subscription', narrow: true, inputmode: 'numeric',
		pattern: '[0-9]*', title: 'Digits', value: value ?? ''});
}

/* A link to a file.  It says the session, as each request of the page does. */
export function download(text, name, path, parameters, title = null)
{
	const href = () => `api/${address(path, {...parameters, session: mine})}`;
	return h('a', {class: 'button', href: href(), download: name, title,
		onclick: event => { event.currentTarget.href = href(); }}, text);
}

/* The ends of a filter's period. */
export function periodFields({since, until}, label = 'From')
{
	return [timeField({label, name: 'since', value: since}),
		timeField({label: 'Until', name: 'until', value: until})];
}

/* A column of the endpoints of subscriptions: where they link to, and what is below them. */
export function endpointColumn(href, below)
{
	return {head: 'Webhook Endpoint', class: 'grow', cell: s => [
		h('a', {href: href(s), title: s.endpoint}, shortUrl(s.endpoint)), below(s)]};
}

/* What has gone wrong with a subscription, below its endpoint. */
export function reasonOf(s)
{
	return s.reason && h('span', {class: 'sub', title: s.reason}, s.reason);
}

/* Links that choose a period up to now, in seconds, and one that chooses nothing. */
export function presets(page, filter, periods, ...others)
{
	return h('nav', {class: 'chips', 'aria-label': 'Presets'},
		periods.map(([text, seconds]) => h('a', {class: 'chip', href: link(page, filter),
			onclick: event =>
			{
				event.preventDefault();
				go(page, {...filter, until: null,
					since: new Date(Date.now() - seconds * 1000).toISOString()});
			}}, text)),
		others,
		h('a', {class: 'chip', href: link(page)}, 'no filter'));
}

/* Links to the first page and to the next one; "older" are the parameters of the latter, null
 * if there is none. */
export function pager(page, filter, isFirst, older, words = ['Newest', 'Older'])
{
	return (!isFirst || older) && h('nav', {class: 'pages', 'aria-label': 'Pages of the list'},
		!isFirst && h('a', {class: 'button', href: link(page, filter)}, words[0]),
		older && h('a', {class: 'button', href: link(page, {...filter, ...older})}, words[1]));
}
