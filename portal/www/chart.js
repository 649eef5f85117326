/*
 * chart.js
 *	  Charts of values over time, as SVG.
 *
 * A chart has a legend by name and shape, a cursor for pointer and arrow keys, whose
 * values are read out as text, and a table of the same numbers.  Colours come from the
 * style sheet, for both schemes.
 */
import {fill, h, parts, table, time} from './dom.js';

const HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 22;
const TOP = 8;

/* The least round number that is not less, and whose half is round, too. */
function round(value)
{
	if (!(value > 0))
		return 1;
	const power = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 4, 6, 8, 10].map(n => n * power).find(n => n >= value * 0.999);
}

/*
 * Options: title; series, a list of {key, name, kind: bar, line or area, style, dashed};
 * format(value) as text; max, if the axis has an end of its own; about, for the legend.
 * Bars are stacked.  draw(points, range) takes [{at, [key]: value or null}], oldest first,
 * and, where the axis is longer than that, {from, to, step}: its ends and the time that a
 * point stands for, in milliseconds.
 */
export function chart({title, series, format, max})
{
	const svg = h('svg', {tabindex: 0, role: 'img', 'aria-label': title});
	const readout = h('p', {class: 'readout'});
	const rows = h('div');
	const details = h('details', {ontoggle: () => details.open && drawTable()},
		h('summary', {}, 'Show as table'), rows);
	const element = h('section', {class: 'card chart'},
		h('div', {class: 'top'}, h('h2', {}, title), readout), svg,
		h('ul', {class: 'key'}, series.map(s => h('li', {}, sample(s), s.name))),
		details);
	let points = [];
	let range = {from: 0, to: 1, step: 1};
	let chosen = null;
	let width = 600;
	let x = () => 0;
	const cursor = h('line', {class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM});

	function sample(s)
	{
		return s.kind === 'bar'
			? h('svg', {viewBox: '0 0 14 10', 'aria-hidden': 'true'},
				h('rect', {width: 14, height: 10, rx: 2, class: `fill-${s.style}`}))
			: h('svg', {viewBox: '0 0 14 10', 'aria-hidden': 'true'},
				h('line', {x1: 0, x2: 14, y1: 5, y2: 5,
					class: `line line-${s.style}${s.dashed ? ' dashed' : ''}`}));
	}

	function say(i)
	{
		const p = points[i];

		if (!p)
		{
			fill(readout, points.length ? '' : 'No data yet');
			return;
		}
		const at = parts(p.at);
		fill(readout, span() > 2 * 86400000 ? `${at.date.slice(5)} ` : '',
			at.time.slice(0, span() < 600000 ? 8 : 5),
			series.map(s => [' · ', series.length > 1 ? `${s.name} ` : '',
				h('b', {}, p[s.key] === null || p[s.key] === undefined ? '–' : format(p[s.key]))]));
	}

	function span()
	{
		return range.to - range.from;
	}

	/* The axis of points alone: half a step before the first one to half a step behind the
	 * last one. */
	function rangeOf(list)
	{
		const [first, last] = [list[0]?.at ?? 0, list.at(-1)?.at ?? 1];
		const step = list.length > 1 ? (last - first) / (list.length - 1) : 1000;
		return {from: first - step / 2, to: last + step / 2, step};
	}

	function choose(i)
	{
		chosen = i;
		if (i === null || !points[i])
		{
			cursor.remove();
			say(points.length - 1);
			return;
		}
		cursor.setAttribute('x1', x(points[i].at));
		cursor.setAttribute('x2', x(points[i].at));
		svg.append(cursor);
		say(i);
	}

	function drawTable()
	{
		fill(rows, table({caption: title, rows: points.slice().reverse(), empty: 'No data yet',
			columns: [{head: 'Timestamp', class: 'time',
				cell: p => time(new Date(p.at).toISOString())},
				...series.map(s => ({head: s.name, number: true,
					cell: p => p[s.key] === null || p[s.key] === undefined ? '–'
						: format(p[s.key])}))]}));
	}

	function drawAll()
	{
		width = Math.max(svg.clientWidth || 600, 200);
		svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
		const bars = series.filter(s => s.kind === 'bar');
		const others = series.filter(s => s.kind !== 'bar');
		const highest = max ?? round(Math.max(0, ...points.map(p => Math.max(
			bars.reduce((sum, s) => sum + (p[s.key] ?? 0), 0),
			...others.map(s => p[s.key] ?? 0)))));
		const inner = width - LEFT - 4;
		const each = inner * range.step / span();
		const y = value => TOP + (HEIGHT - BOTTOM - TOP) * (1 - Math.min(value / highest, 1));

		x = at => LEFT + (at - range.from) / span() * inner;
		fill(svg);
		for (const part of [0, 0.5, 1])
		{
			svg.append(h('line', {class: 'grid-line', x1: LEFT, x2: width, y1: y(highest * part),
				y2: y(highest * part)}),
				h('text', {x: LEFT - 8, y: y(highest * part) + 4, 'text-anchor': 'end'},
					part === 0 ? '0' : format(highest * part, true)));
		}
		const labels = Math.max(2, Math.min(6, Math.floor(inner / 110)));
		for (let i = 0; points.length > 0 && i < labels; i++)
		{
			const p = parts(range.from + span() * i / (labels - 1));
			const text = span() > 2 * 86400000 ? p.date.slice(5) : span() < 600000 ? p.time
				: p.time.slice(0, 5);
			svg.append(h('text', {x: LEFT + inner * i / (labels - 1), y: HEIGHT - 4,
				'text-anchor': i === 0 ? 'start' : i === labels - 1 ? 'end' : 'middle'}, text));
		}
		for (const p of points)
		{
			let sum = 0;
			for (const s of bars)
			{
				const value = p[s.key] ?? 0;
				if (value > 0)
					svg.append(h('rect', {class: `fill-${s.style}`, x: x(p.at) - each * 0.42,
						width: Math.max(each * 0.84, 0.8), y: y(sum + value),
						height: Math.max(y(sum) - y(sum + value), 0.5)}));
				sum += value;
			}
		}
		for (const s of others)
		{
			for (const run of runs(s.key))
			{
				const path = run.map((p, i) =>
					`${i ? 'L' : 'M'}${x(p.at).toFixed(1)},${y(p[s.key]).toFixed(1)}`).join('');
				if (s.kind === 'area')
					svg.append(h('path', {class: `area-${s.style}`,
						d: `${path}L${x(run.at(-1).at).toFixed(1)},${y(0)}L${x(run[0].at).toFixed(1)},${y(0)}Z`}));
				svg.append(h('path', {class: `line line-${s.style}${s.dashed ? ' dashed' : ''}`,
					d: run.length > 1 ? path : `${path}h0.1`}));
			}
		}
		choose(chosen !== null && chosen < points.length ? chosen : null);
	}

	/* The parts of a line between points without a value. */
	function runs(key)
	{
		const all = [];
		let run = [];
		for (const p of points)
			if (p[key] === null || p[key] === undefined)
			{
				if (run.length)
					all.push(run);
				run = [];
			}
			else
				run.push(p);
		if (run.length)
			all.push(run);
		return all;
	}

	svg.addEventListener('pointermove', event =>
	{
		const box = svg.getBoundingClientRect();
		const at = (event.clientX - box.left) / box.width * width;
		const far = p => Math.abs(x(p.at) - at);
		const nearest = points.reduce((best, p, i) =>
			best === null || far(p) < far(points[best]) ? i : best, null);
		choose(nearest !== null && far(points[nearest]) < 20 ? nearest : null);
	});
	svg.addEventListener('pointerleave', () => choose(null));
	svg.addEventListener('blur', () => choose(null));
	svg.addEventListener('keydown', event =>
	{
		const to = {ArrowLeft: (chosen ?? points.length) - 1, ArrowRight: (chosen ?? -1) + 1,
			Home: 0, End: points.length - 1}[event.key];
		if (to === undefined)
			return;
		event.preventDefault();
		choose(Math.max(0, Math.min(points.length - 1, to)));
	});
	new ResizeObserver(() =>
	{
		if (svg.clientWidth && svg.clientWidth !== width)
			drawAll();
	}).observe(svg);

	return {element, draw(list, axis)
	{
		points = list;
		range = axis ?? rangeOf(list);
		drawAll();
		if (details.open)
			drawTable();
		svg.setAttribute('aria-label', `${title}. ${readout.textContent}`);
	}};
}
