/*
 * recover.js
 *	  Recover: send again what failed, or what was never tried, in a period.
 *
 * The period is sent in slices, so that there is progress and a way to stop.  A slice
 * that was sent stays sent.
 */
import {post} from './api.js';
import {button, count, dialog, fill, h, toast} from './dom.js';
import {fromInput, timeField} from './fields.js';
import {WrongField, field, form, refuse, select} from './form.js';

const kinds = [['failed', 'what failed or was cancelled'], ['missing', 'what was never tried'],
	['delivered', 'what was delivered, once more']];
const SLICES = 24;

/* The period in parts of an hour at least. */
function slices(since, until)
{
	const [from, to] = [Date.parse(since), Date.parse(until)];
	const step = Math.max((to - from) / SLICES, 3600000);
	const list = [];
	for (let at = from; at < to; at += step)
		list.push([new Date(at).toISOString(), new Date(Math.min(at + step, to)).toISOString()]);
	return list;
}

/* Returns true if something was sent.  "endpoint" is null if the page does not know it. */
export function recover(subscription, endpoint)
{
	return dialog(`Recover subscription ${subscription}`, close =>
	{
		const since = timeField({label: 'Events from', name: 'since',
			value: new Date(Date.now() - 86400000).toISOString()});
		const until = timeField({label: 'Until', name: 'until',
			value: new Date(Date.now() + 1000).toISOString()});
		const what = field({label: 'Send', name: 'what', control: select(kinds, 'failed')});
		const bar = h('progress', {max: 1, value: 0, 'aria-label': 'Progress'});
		const said = h('p', {role: 'status'});
		const act = h('button', {class: 'button primary'}, 'Count');
		let counted = null;
		let running = false;
		let sent = 0;

		const arguments_ = () =>
		{
			const [from, to] = [since, until].map(f => fromInput(f.querySelector('input').value));
			if (!from)
				throw new WrongField('since', 'Give a date and a time.');
			if (!to)
				throw new WrongField('until', 'Give a date and a time.');
			return {subscription, since: from, until: to, what: what.querySelector('select').value};
		};
		const forget = () =>
		{
			counted = null;
			fill(act, 'Count');
			fill(said);
		};
		const run = async body =>
		{
			const parts = slices(body.since, body.until);
			running = true;
			bar.hidden = false;
			fill(stop, 'Stop');
			for (const [i, [from, to]] of parts.entries())
			{
				if (!running)
					break;
				const {result} = await post('recover', {...body, since: from, until: to});
				sent += result;
				bar.value = (i + 1) / parts.length;
				fill(said, `${count(sent)} of ${count(counted)} will be sent again.`);
			}
			const whole = running;
			running = false;
			toast(`${count(sent)} event${sent === 1 ? '' : 's'} will be sent again${whole ? '' : '; the rest was stopped'}.`);
			close(sent > 0);
		};
		const stop = button('Close', () =>
		{
			if (running)
				running = false;
			else
				close(sent > 0);
		});
		bar.hidden = true;
		const element = form({class: 'editor'}, async () =>
		{
			const body = arguments_();
			if (counted === null)
			{
				fill(said, 'Counting …');
				try
				{
					({result: counted} = await post('recover', {...body, dry_run: true}));
				}
				finally
				{
					fill(said);
				}
				fill(said, counted === 0 ? 'There is nothing to send again in this period.'
					: `${count(counted)} event${counted === 1 ? '' : 's'} can be sent again.`);
				if (counted > 0)
					fill(act, `Send ${count(counted)} again`);
				else
					counted = null;
				return;
			}
			try
			{
				await run(body);
			}
			catch (error)
			{
				running = false;
				fill(stop, 'Close');
				forget();
				refuse(element, error);
			}
		}, endpoint && h('p', {class: 'help'}, endpoint),
		h('div', {class: 'fields'}, since, until, what), bar, said,
		h('div', {class: 'actions end'}, stop, act));
		element.addEventListener('input', forget);
		return element;
	}, 'large');
}
