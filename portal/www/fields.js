/*
 * fields.js
 *	  Fields for durations, points of time and lists, whose texts are checked here, so
 *	  that the database gets only what it can read.
 */
import {h, inUtc, parts} from './dom.js';
import {WrongField, field, select} from './form.js';

const units = [['seconds', 1], ['minutes', 60], ['hours', 3600], ['days', 86400]];

/* Seconds of an interval as PostgreSQL writes it; null of what is none. */
export function seconds(interval)
{
	const found = /^(?:(\d+) years? ?)?(?:(\d+) mons? ?)?(?:(\d+) days? ?)?(?:(\d+):(\d+):([\d.]+))?$/
		.exec(interval ?? '-');
	if (!found || !interval)
		return null;
	const [years, months, days, hours, minutes, rest] = found.slice(1).map(n => Number(n ?? 0));
	return (years * 365 + months * 30 + days) * 86400 + hours * 3600 + minutes * 60 + rest;
}

/* A number and a unit.  value() of the field is an interval as text, '' for none. */
export function durationField({label, name, help, value})
{
	const given = seconds(value);
	const [unit, size] = given ? units.findLast(([, n]) => given % n === 0) ?? units[0] : units[0];
	const amount = h('input', {type: 'text', inputmode: 'decimal',
		value: given ? given / size : ''});
	const choice = select(units.map(([u]) => u), unit, {'aria-label': `${label}: unit`});
	const element = field({label, name, help, control: amount});
	const pair = h('div', {class: 'pair'});

	amount.replaceWith(pair);
	pair.append(amount, choice);
	element.value = () =>
	{
		const text = amount.value.trim().replace(',', '.');
		if (text === '')
			return '';
		if (!/^\d+(\.\d+)?$/.test(text))
			throw new WrongField(name, 'This is no number.', 'Give digits, and choose the unit.');
		return `${text} ${choice.value}`;
	};
	return element;
}

/* Intervals as people write them: "5 s, 5 min, 2 h". */
export function scheduleText(intervals)
{
	return (intervals ?? []).map(interval =>
	{
		const given = seconds(interval);
		const [, size] = units.findLast(([, n]) => given % n === 0) ?? units[0];
		return `${given / size} ${{1: 's', 60: 'min', 3600: 'h', 86400: 'd'}[size]}`;
	}).join(', ');
}

export function parseSchedule(name, text)
{
	return text.split(',').map(part => part.trim()).filter(Boolean).map(part =>
	{
		const found = /^(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)$/.exec(part);
		if (!found)
			throw new WrongField(name, `“${part}” is no duration.`,
				'Give numbers with s, min, h or d, separated by commas: 5 s, 5 min, 2 h.');
		return `${found[1]} ${{s: 'seconds', m: 'minutes', h: 'hours', d: 'days'}[found[2][0]]}`;
	});
}

/* A number, '' for none. */
export function parseNumber(name, text, whole = true)
{
	text = text.trim().replace(',', '.');
	if (text === '')
		return '';
	if (!(whole ? /^\d{1,9}$/ : /^\d{1,9}(\.\d{1,6})?$/).test(text))
		throw new WrongField(name, whole ? 'This is no whole number.' : 'This is no number.',
			'Give digits only.');
	return Number(text);
}

export function parseNumbers(name, text)
{
	return text.split(/[\s,]+/).filter(Boolean).map(part => parseNumber(name, part));
}

/* ---- Points of time: in the zone that is shown ---- */

export function toInput(at)
{
	if (!at)
		return '';
	const p = parts(at);
	return `${p.date}T${p.time}`;
}

export function fromInput(text)
{
	if (!text)
		return null;
	const at = new Date(inUtc() ? `${text}Z` : text);
	return isNaN(at) ? null : at.toISOString();
}

export function timeField({label, name, value, help})
{
	return field({label, name, help, type: 'datetime-local', step: 1, value: toInput(value)});
}
