/*
 * dom.js
 *	  Makes elements.  Text becomes text nodes and nothing else, whoever wrote it, so
 *	  no answer of an endpoint and no message can become markup.
 */

const SVG = 'http://www.w3.org/2000/svg';
const svgNames = new Set(['svg', 'g', 'path', 'rect', 'line', 'text', 'circle', 'title']);

/* Adds children to an element: nodes, texts, numbers and lists of them; null and false
 * are left out. */
export function append(element, ...children)
{
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			element.append(child instanceof Node ? child : String(child));
	return element;
}

/* The same in place of what the element has. */
export function fill(element, ...children)
{
	element.replaceChildren();
	return append(element, ...children);
}

/* An element.  Properties: onX is a listener, everything else an attribute; true stands
 * for an empty one, and false, null and undefined for none. */
export function h(name, properties = {}, ...children)
{
	const element = svgNames.has(name) ? document.createElementNS(SVG, name)
		: document.createElement(name);

	for (const [key, value] of Object.entries(properties ?? {}))
	{
		if (value === null || value === undefined || value === false)
			continue;
		if (key.startsWith('on'))
			element.addEventListener(key.slice(2), value);
		else
			element.setAttribute(key, value === true ? '' : String(value));
	}
	return append(element, ...children);
}

let number = 0;

/* An id that no other element has. */
export function unique(prefix)
{
	return `${prefix}-${++number}`;
}

/* ---- Numbers and times ---- */

const whole = new Intl.NumberFormat('en');

export function count(n)
{
	return n === null || n === undefined ? '–' : whole.format(n);
}

export function decimal(n, digits = 1)
{
	return n === null || n === undefined ? '–' : Number(n).toLocaleString('en',
		{minimumFractionDigits: digits, maximumFractionDigits: digits});
}

/* How often something happens in a second. */
export function rate(n)
{
	return decimal(n, !n || n < 0.005 || n >= 10 ? 0 : n < 1 ? 2 : 1);
}

/* A duration in milliseconds, as people say it. */
export function duration(ms)
{
	if (ms === null || ms === undefined)
		return '–';
	if (ms < 1000)
		return `${ms > 0 && ms < 10 ? decimal(ms) : Math.round(ms)} ms`;
	const s = ms / 1000;
	return s < 60 ? `${decimal(s)} s` : s < 3600 ? `${Math.round(s / 60)} min`
		: s < 172800 ? `${decimal(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

export function bytes(n)
{
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	let i = 0;
	for (n = Number(n); n >= 1024 && i < 4; i++)
		n /= 1024;
	return `${i && n < 100 ? decimal(n) : Math.round(n)} ${units[i]}`;
}

/* What the browser may not store, as in a frame of another site, lasts as long as the page. */
const fallback = new Map();

export function remember(key, value)
{
	fallback.set(key, value);
	try
	{
		localStorage.setItem(`webhook.${key}`, value);
	}
	catch
	{
		/* It is in the map. */
	}
}

export function recall(key)
{
	try
	{
		return localStorage.getItem(`webhook.${key}`) ?? fallback.get(key) ?? null;
	}
	catch
	{
		return fallback.get(key) ?? null;
	}
}

export function inUtc()
{
	return recall('zone') === 'utc';
}

function two(n, digits = 2)
{
	return String(n).padStart(digits, '0');
}

/* The parts of a time in the zone that was chosen. */
export function parts(at)
{
	const d = new Date(at);
	return inUtc()
		? {date: `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`,
			time: `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`,
			ms: two(d.getUTCMilliseconds(), 3), zone: 'UTC'}
		: {date: `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`,
			time: `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`,
			ms: two(d.getMilliseconds(), 3), zone: offset(d)};
}

function offset(d)
{
	const minutes = -d.getTimezoneOffset();
	const size = Math.abs(minutes);
	return `UTC${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

export function ago(at)
{
	const s = (Date.now() - new Date(at)) / 1000;
	const words = duration(Math.abs(s) * 1000).replace(/\.\d/, '');
	return Math.abs(s) < 1 ? 'now' : s > 0 ? `${words} ago` : `in ${words}`;
}

/* A time.  How: "full" with milliseconds, "ago" relative, else date and time. */
export function time(at, how)
{
	if (!at)
		return '–';
	const p = parts(at);
	const exact = `${p.date} ${p.time}.${p.ms} ${p.zone}`;
	return h('time', {datetime: at, title: exact, class: 'time'},
		how === 'full' ? exact : how === 'ago' ? ago(at) : `${p.date} ${p.time}`);
}

/* A sentence of the database; its times are shown in the zone that was chosen. */
export function sentence(text)
{
	return text.split(/(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00)/).map((part, i) =>
		i % 2 ? time(part.replace(' ', 'T').replace('+00', '+00:00')) : part);
}

/* ---- Words with a sign ---- */

const states = {
	active: ['ok', '✓'],
	slow: ['warn', '◔'],
	open: ['bad', '✕', 'breaker open'],
	waiting: ['warn', '◷'],
	paused: ['idle', '‖'],
	disabled: ['bad', '⊘'],
	fenced: ['warn', '▣'],
	unconfirmed: ['warn', '?'],
	deprecated: ['warn', '⊘'],
	off: ['idle', '○'],
	'no worker': ['bad', '✕'],
	idle: ['idle', '○', 'nothing sent yet'],
	running: ['ok', '✓'],
	delivered: ['ok', '✓'],
	retrying: ['warn', '↻'],
	failed: ['bad', '✕'],
	cancelled: ['idle', '⊘'],
};

/* A state or an outcome: never by colour alone. */
export function badge(state)
{
	const [kind, sign, word] = states[state] ?? ['idle', '•'];
	return h('span', {class: `badge ${kind}`},
		h('span', {class: 'sign', 'aria-hidden': 'true'}, sign), word ?? state);
}

/* The state of a subscription; one that nothing was sent to is told apart. */
export function stateOf(s)
{
	return s.state === 'active' && !s.delivered && !s.failed && !s.retried ? 'idle' : s.state;
}

/* A URL that is broken between its parts, not within words. */
export function url(text)
{
	return text.split(/(?<=[/?&.])/).map(part => [part, h('wbr')]);
}

/* The name of an event type, broken between its words. */
export function eventType(name)
{
	return name.split(/(?<=\.)|(?<=[a-z])(?=[A-Z])/).map(part => [part, h('wbr')]);
}

/* What is easily told of an endpoint: its host and path. */
export function shortUrl(text)
{
	return url(text.replace(/^https?:\/\//, ''));
}

/* ---- Parts of pages ---- */

/* The head of a page: its title, a line on it, and what can be done. */
export function heading(title, about, ...actions)
{
	return h('div', {class: 'heading'},
		h('div', {}, h('h1', {tabindex: -1}, title), about && h('p', {class: 'about'}, about)),
		h('div', {class: 'actions'}, actions));
}

export function button(text, onclick, kind = '', properties = {})
{
	return h('button', {type: 'button', class: `button ${kind}`, onclick, ...properties}, text);
}

export function card(title, ...children)
{
	return h('section', {class: 'card'}, title && h('h2', {}, title), children);
}

/* A list of terms.  Rows: [term, description]; a row without a description is left out. */
export function terms(...rows)
{
	return h('dl', {class: 'terms'}, rows.filter(Boolean)
		.filter(row => row[1] !== null && row[1] !== undefined && row[1] !== false)
		.map(([term, ...description]) => h('div', {}, h('dt', {}, term),
			h('dd', {}, description))));
}

/*
 * A table in a region of its own, which scrolls sideways where there is no room.
 * Columns: {head, cell(row), number, class}.  On a narrow screen a row is a block, and
 * each value has the head of its column beside it.
 */
export function table({caption, columns, rows, empty, note, rowClass})
{
	if (!rows.length && empty)
		return h('div', {class: 'card empty'}, empty);
	return h('div', {class: 'table', role: 'region', 'aria-label': caption, tabindex: 0},
		h('table', {},
			h('caption', {}, caption, note && h('span', {class: 'note'}, note)),
			h('thead', {}, h('tr', {}, columns.map(c =>
				h('th', {scope: 'col', class: c.number ? 'number' : c.class}, c.head)))),
			h('tbody', {}, rows.map(row => tableRow(columns, row, rowClass)))));
}

export function tableRow(columns, row, rowClass)
{
	return h('tr', {class: rowClass?.(row)}, columns.map(c =>
		h('td', {class: [c.number && 'number', c.class].filter(Boolean).join(' ') || null,
			'data-head': typeof c.head === 'string' ? c.head : ''},
				h('div', {class: 'cell'}, c.cell(row)))));
}

/* Says what was done, for eight seconds and to screen readers. */
export function toast(text, kind = '')
{
	const element = h('div', {class: `toast ${kind}`}, h('span', {}, text),
		button('Close', () => element.remove(), 'quiet small'));
	document.getElementById('toasts').append(element);
	setTimeout(() => element.remove(), 8000);
}

/* JSON, indented; its tokens stay as they are, so a long number loses no digit.
 * What is no JSON is returned as it is. */
export function pretty(text)
{
	try
	{
		JSON.parse(text);
	}
	catch
	{
		return text;
	}
	let out = '';
	let depth = 0;
	const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
	tokens.forEach((token, i) =>
	{
		const before = tokens[i - 1];
		const closes = token === '}' || token === ']';
		if (closes)
			depth--;
		if (closes ? before !== '{' && before !== '[' : before === ',' || before === '{'
			|| before === '[')
			out += '\n' + '  '.repeat(depth);
		out += token === ':' ? ': ' : token;
		if (token === '{' || token === '[')
			depth++;
	});
	return out;
}

/* A text in a box of its own, with a button to copy it. */
export function code(text, label, kind = '')
{
	return h('div', {class: `code ${kind}`},
		h('pre', {tabindex: 0, 'aria-label': label}, text),
		button('Copy', async event =>
		{
			const pressed = event.currentTarget;
			try
			{
				await navigator.clipboard.writeText(text);
				fill(pressed, 'Copied');
			}
			catch
			{
				getSelection().selectAllChildren(pressed.previousSibling);
				fill(pressed, 'Selected');
			}
			setTimeout(() => fill(pressed, 'Copy'), 2000);
		}, 'quiet small copy', {'aria-label': label ? `Copy ${label}` : 'Copy'}));
}

/*
 * A dialog.  Returns what its close() was called with, null if it was dismissed.
 * build(close) returns the contents.
 */
export function dialog(title, build, kind = '')
{
	return new Promise(resolve =>
	{
		const id = unique('dialog');
		const before = document.activeElement;
		let value = null;
		const box = h('dialog', {class: `dialog ${kind}`, 'aria-labelledby': id,
			onclose: () =>
			{
				box.remove();
				if (before?.isConnected)
					before.focus();
				resolve(value);
			}});
		append(box, h('h2', {id}, title), build(result =>
		{
			value = result;
			box.close();
		}, box));
		document.body.append(box);
		box.showModal();
	});
}

/* Asks before something that cannot be taken back. */
export function confirm(title, text, action, kind = 'danger')
{
	return dialog(title, close => [
		[].concat(text).map(line => h('p', {}, line)),
		h('div', {class: 'actions end'},
			button('Keep as it is', () => close(false), '', {autofocus: true}),
			button(action, () => close(true), kind))]);
}
