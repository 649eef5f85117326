/*
 * history.js
 *	  Charts of the past: of all subscriptions or of one.
 */
import {get} from './api.js';
import {chart} from './chart.js';
import {decimal, duration, h, rate} from './dom.js';
import {problem} from './form.js';

/* The ranges: span and step as intervals, and the step's seconds. */
export const ranges = {
	hour: {text: '1 hour', span: '1 hour', step: '1 minute', seconds: 60},
	day: {text: '24 hours', span: '24 hours', step: '15 minutes', seconds: 900},
	month: {text: '30 days', span: '30 days', step: '6 hours', seconds: 21600},
};

/* Milliseconds of an interval as PostgreSQL writes it, or of a number. */
function ms(value)
{
	if (value === null || value === undefined)
		return null;
	const found = /^(?:(\d+) days? ?)?(?:(\d+):(\d+):([\d.]+))?$/.exec(value);
	return typeof value === 'number' ? value
		: found ? ((Number(found[1] ?? 0) * 24 + Number(found[2] ?? 0)) * 3600
			+ Number(found[3] ?? 0) * 60 + Number(found[4] ?? 0)) * 1000 : null;
}

export function charts()
{
	const short = (value, axis) => axis && value >= 1000
		? `${decimal(value / 1000, value % 1000 ? 1 : 0)}k`
		: rate(value);
	const calls = chart({title: 'Calls per second', format: short, series: [
		{key: 'delivered', name: 'delivered', kind: 'bar', style: 'ok'},
		{key: 'retried', name: 'to be retried', kind: 'bar', style: 'warn'},
		{key: 'failed', name: 'failed', kind: 'bar', style: 'bad'}]});
	const success = chart({title: 'Success rate',
		format: v => `${decimal(v, v === 100 || v === 0 || v === 50 ? 0 : 1)} %`, max: 100,
		series: [{key: 'success', name: 'successful calls', kind: 'area', style: 'ok'}]});
	const answer = chart({title: 'Time to answer', format: duration, series: [
		{key: 'p50', name: 'median', kind: 'line', style: 'accent'},
		{key: 'p95', name: '95 %', kind: 'line', style: 'warn', dashed: true}]});
	const waiting = chart({title: 'Waiting deliveries',
		format: value => value >= 10 || value % 1 ? short(value) : decimal(value, 0), series: [
		{key: 'pending', name: 'waiting', kind: 'area', style: 'accent'}]});

	return {
		elements: [calls, success, answer, waiting].map(c => c.element),
		draw(points, range)
		{
			for (const one of [calls, success, answer, waiting])
				one.draw(points, range);
		},
	};
}

/* Points from rows of series(): counts become calls per second. */
export function fromSeries(rows, seconds)
{
	return rows.map(r =>
	{
		const all = r.delivered + r.failed + r.retried;
		return {at: Date.parse(r.at), delivered: r.delivered / seconds, failed: r.failed / seconds,
			retried: r.retried / seconds, pending: r.pending,
				success: all ? r.delivered / all * 100 : null,
			p50: ms(r.p50), p95: ms(r.p95)};
	});
}

/* The charts of a range, or why there are none. */
export async function past(range, subscription, signal)
{
	const {span, step, seconds} = ranges[range];
	try
	{
		const rows = await get('series', {span, step, subscription}, signal);
		const all = charts();
		requestAnimationFrame(() => all.draw(fromSeries(rows, seconds)));
		return h('div', {class: 'grid'}, all.elements);
	}
	catch (error)
	{
		if (signal?.aborted || !('status' in error))
			throw error;
		return problem(error);
	}
}
