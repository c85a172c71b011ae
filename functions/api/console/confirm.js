import { byId } from './elements.js';

/** Settles what was asked last, if it is not settled yet. */
let settleLast = () => undefined;

/**
 * Asks a person whether to go on. Escape and the first button mean no. `fields`: form fields shown beneath the text.
 * Resolves with the form's values, or undefined for no. The keyboard goes back to where it was.
 */
export function confirmed({ title, text, yes, isSevere = false, fields = [] }) {
  const dialog = byId('dialog');
  const form = byId('dialog-form');
  // a browser may tell that a dialog was closed only when the next question is asked
  settleLast();
  byId('dialog-title').textContent = title;
  byId('dialog-text').textContent = text;
  byId('dialog-fields').replaceChildren(...fields);
  byId('dialog-yes').textContent = yes;
  byId('dialog-yes').className = isSevere ? 'severe' : 'main';
  dialog.returnValue = '';
  return new Promise((resolve) => {
    const listening = new AbortController();
    const { signal } = listening;
    const settle = () => {
      listening.abort();
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(new FormData(form)) : undefined);
    };
    settleLast = settle;
    const no = () => dialog.close('no');
    const sent = (event) => {
      event.preventDefault();
      dialog.close('yes');
    };
    const closed = () => {
      if (!dialog.open) settle();
    };
    byId('dialog-no').addEventListener('click', no, { signal });
    form.addEventListener('submit', sent, { signal });
    dialog.addEventListener('close', closed, { signal });
    dialog.showModal();
    byId('dialog-no').focus();
  });
}
