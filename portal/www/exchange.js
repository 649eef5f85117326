/*
 * exchange.js
 *	  A call as it was sent and as it was answered.
 */
import {badge, button, code, duration, fill, h, pretty, terms, time, url} from './dom.js';

/* Headers as lines; a repeated name has an array. */
export function headerLines(headers)
{
	return Object.entries(headers ?? {}).flatMap(([name, value]) =>
		[].concat(value).map(one => `${name}: ${one}`)).join('\n');
}

function quoted(text)
{
	return `'${text.replaceAll("'", "'\\''")}'`;
}

/* The request as a command line.  Credentials are not in the log, so they read ***. */
export function asCurl(call)
{
	const headers = Object.entries(call.request_headers ?? {})
		.filter(([name]) => !['host', 'content-length', 'accept'].includes(name))
		.flatMap(([name, value]) => [].concat(value).map(one =>
			`  -H ${quoted(`${name}: ${one}`)}`));
	return [`curl -X ${call.method ?? 'POST'} ${quoted(call.endpoint ?? '')}`, ...headers,
		`  --data-raw ${quoted(call.request_body ?? '')}`].join(' \\\n');
}

/* A body, indented if it is JSON, with a switch to what was sent. */
function body(text, label)
{
	if (text === null || text === undefined)
		return h('p', {class: 'help'}, 'Not kept: the log keeps no bodies of such calls, or they were erased.');
	if (text === '')
		return h('p', {class: 'help'}, 'empty');
	const formatted = pretty(text);
	const box = h('div', {}, code(formatted, label));
	const raw = formatted !== text && button('As sent', () =>
	{
		const pressed = raw.getAttribute('aria-pressed') === 'true';
		raw.setAttribute('aria-pressed', !pressed);
		fill(box, code(pressed ? formatted : text, label));
	}, 'small', {'aria-pressed': 'false'});
	return [box, raw && h('p', {}, raw)];
}

export function exchange(call)
{
	if (!call.method)
		return h('p', {class: 'help'}, 'No request was made.');
	return h('div', {class: 'exchange'},
		h('section', {'aria-label': 'Request'},
			h('h3', {}, 'Request'),
			terms(['HTTP Method', call.method],
				['Webhook Endpoint', url(call.endpoint ?? '')],
				['Source IP Address', call.source_ip
					&& `${call.source_ip}, port ${call.source_port}`],
				['Receiver’s address', call.peer_ip],
				['Timestamp', time(call.requested_at, 'full')]),
			h('h4', {}, 'Request Headers'), code(headerLines(call.request_headers),
				'Request Headers'),
			h('h4', {}, 'Request Body'), body(call.request_body, 'Request Body')),
		h('section', {'aria-label': 'Response'},
			h('h3', {}, 'Response'),
			terms(['Status', call.response_status ?? 'none'], ['After', duration(call.ms)],
				['Error', call.error]),
			call.response_headers && [h('h4', {}, 'Response Headers'),
				code(headerLines(call.response_headers), 'Response Headers')],
			call.response_status !== null && [h('h4', {}, 'Response Body'),
				body(call.response_body, 'Response Body')]));
}

/* How a call ended: outcome, and why unless a status of its own column says it. */
export function outcome(row)
{
	return [badge(row.outcome), row.error && row.error_class !== 'status'
		&& h('span', {class: 'sub'}, row.error)];
}
