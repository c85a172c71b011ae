import { byId } from './elements.js';

/**
 * Asks a person whether to go on. Escape and the first button mean no. `fields`: form fields shown beneath the text.
 * Resolves with the form's values, or undefined for no. The keyboard goes back to where it was.
 */
export function confirmed({ title, text, yes, isSevere = false, fields = [] }) {
  const dialog = byId('dialog');
  const form = byId('dialog-form');
  byId('dialog-title').textContent = title;
  byId('dialog-text').textContent = text;
  byId('dialog-fields').replaceChildren(...fields);
  byId('dialog-yes').textContent = yes;
  byId('dialog-yes').className = isSevere ? 'severe' : 'main';
  dialog.returnValue = '';
  return new Promise((resolve) => {
    const no = () => dialog.close('no');
    const sent = (event) => {
      event.preventDefault();
      dialog.close('yes');
    };
    const over = () => {
      byId('dialog-no').removeEventListener('click', no);
      form.removeEventListener('submit', sent);
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(new FormData(form)) : undefined);
    };
    byId('dialog-no').addEventListener('click', no);
    form.addEventListener('submit', sent);
    dialog.addEventListener('close', over, { once: true });
    dialog.showModal();
    byId('dialog-no').focus();
  });
}
