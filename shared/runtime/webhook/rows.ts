import { defineConfig, oneOf, row, text } from '../config.ts';

/** Telling customers' endpoints. */
export const webhooks = defineConfig({
  webhookKeysFile: row(
    'WEBHOOK_KEYS_FILE',
    text({ wanted: 'a path' }),
    undefined,
    "File with the keys that wrap the secrets of customers' endpoints, of the form of BACKUP_KEYS_FILE and none of its keys. Read again when it changes.",
  ),
  webhookTargets: row(
    'WEBHOOK_TARGETS',
    oneOf('public', 'any'),
    'public',
    'Where endpoints may be: public, by https at addresses of the internet; any, also by http and on this machine, for runs on one.',
  ),
});
