/*
 * pages/system.js
 *	  System: versions, the worker's numbers, settings, and how large the log is.
 */
import {get} from '../api.js';
import {badge, bytes, card, count, fill, h, heading, table, terms, time} from '../dom.js';
import {live} from '../live.js';

function workerTerms(w)
{
	return !w ? h('p', {}, 'There is none.') : terms(
		['State', badge(w.state)], ['Process', w.pid], ['Since', time(w.started_at)],
		['Events read', count(w.events)], ['Requests made', count(w.attempts)],
		['Delivered', count(w.delivered)], ['Retried', count(w.retrying)],
			['Failed or cancelled', count(w.failed)],
		['In flight', count(w.in_flight)], ['Queued', count(w.queued)],
		['Results to be written', count(w.unflushed)], ['Memory of these', bytes(w.memory)],
		['Groups of results written', `${count(w.flushes)}, ${count(w.flush_errors)} failed`],
		['Ring tables emptied', count(w.rotations)],
		['Writing is blocked', w.blocked ? 'yes: nothing is sent until the log can be written'
			: null]);
}

export async function system({signal, me})
{
	const answer = await get('system', {}, signal);
	const worker = h('div', {}, workerTerms(answer.worker));

	live.addEventListener('tick', event => fill(worker, workerTerms(event.detail.worker)),
		{signal});
	return [
		heading('System'),
		h('div', {class: 'grid'},
			card('Versions', terms(['Extension', answer.version ?? 'none'],
				['Server', answer.server], ['Database', answer.database],
				['Size', bytes(answer.size)], ['Standby',
					me.standby && 'yes: nothing is sent from here'])),
			card('Worker', worker)),
		table({caption: 'Settings', note: 'those that were changed are marked',
			rows: answer.settings, empty: 'The library is not loaded.', columns: [
			{head: 'Name', cell: s => h('code', {}, s.name)},
			{head: 'Value', class: 'grow', cell: s => [s.value === '' ? '–' : s.value,
				s.changed && h('span', {class: 'sub'}, '• changed')]},
			{head: 'What it is', class: 'grow', cell: s => s.short_desc},
		]}),
		table({caption: 'Log by day', rows: answer.leaves, empty: 'The log is empty.', columns: [
			{head: 'Leaf', cell: l => l.name},
			{head: 'Rows, about', number: true, cell: l => count(l.rows)},
			{head: 'Size', number: true, cell: l => bytes(l.size)},
		]}),
	];
}
