import { byId } from './elements.js';

const everyMs = 30_000;

/** Calls `look` every so often while the page is seen, and as soon as it is seen again. Ends when `signal` is aborted. */
export async function keepLooking(signal, look) {
  while (!signal.aborted) {
    await nextTime(signal);
    if (!signal.aborted) await look();
  }
}

function nextTime(signal) {
  return new Promise((resolve) => {
    let timer;
    const over = () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', turned);
      resolve();
    };
    const turned = () => {
      clearTimeout(timer);
      if (!document.hidden) over();
    };
    document.addEventListener('visibilitychange', turned);
    signal.addEventListener('abort', over, { once: true });
    if (!document.hidden) timer = setTimeout(over, everyMs);
  });
}

/** Would it disturb somebody if the page were shown anew? What is at work is told of anyway. */
export function isHeldUp() {
  const fields = [...byId('main').querySelectorAll('input, select')];
  return byId('dialog').open || byId('progress')?.dataset.followed !== undefined || fields.some(isFilledIn);
}

function isFilledIn(field) {
  if (field.options === undefined) return field.value !== field.defaultValue;
  // it may be open
  if (field === document.activeElement) return true;
  const stated = [...field.options].find((one) => one.defaultSelected) ?? field.options[0];
  return field.value !== stated?.value;
}
