/*
 * status.js
 *	  How live the pages are: what is said below the header when they are not, and the
 *	  button that lets them stand still.
 */
import {button, fill, h} from './dom.js';
import {live, pause} from './live.js';

const words = {live: 'live', paused: 'paused', lost: 'no connection', starting: 'connecting'};

/* The state and the button, for a page that changes by itself. */
export function liveControl(signal)
{
	const said = h('span', {class: 'live-state'});
	const press = button('', () => pause(!live.paused), 'small');
	const draw = () =>
	{
		fill(said, words[live.state]);
		said.className = `live-state ${live.state}`;
		fill(press, live.paused ? 'Resume updates' : 'Pause updates');
	};
	live.addEventListener('state', draw, {signal});
	draw();
	return h('span', {class: 'actions'}, said, press);
}

/* What each page has to say below the header: nothing, as long as all is live. */
export function drawStrip(strip, isStandby)
{
	const say = (...content) => h('p', {}, content);

	fill(strip,
		live.state === 'lost' && say('✕ No connection: what you see may be old. ',
			'It is tried again by itself.'),
		live.state === 'paused' && say('‖ Updates are paused. ',
			button('Resume updates', () => pause(false), 'small')),
		isStandby && say('This database is a standby: it can be read, and nothing is sent or ',
			'changed from here.'));
	strip.hidden = !strip.firstChild;
}
