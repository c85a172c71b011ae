import type { Database } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { backups, keyRing, linking } from '#shared/runtime/backup-rows.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import { defineConfig, type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { webhooks } from '#shared/runtime/edge-rows.ts';
import { platformDatabase, publishing } from '#shared/runtime/rows.ts';
import { openWebhookSecrets } from '#shared/runtime/webhook/secrets.ts';
import { adopt } from './adopt.ts';
import { createKey } from './api-keys.ts';
import { ask } from './ask.ts';
import { listBackups, showBackup } from './backups.ts';
import { showCertificates } from './certificates.ts';
import { confirm } from './client/confirm.ts';
import { linkToExport } from './exports.ts';
import { follow } from './follow.ts';
import { uploadFile } from './import-file.ts';
import { keyStatus, rewrapKeys } from './keys.ts';
import { type AskedKind, type Given, newestRestore, newInstanceId, requestOf } from './requests.ts';
import type { Done, Screen } from './screen.ts';
import { rewrapWebhookKeys, webhookKeyStatus } from './webhook-keys.ts';

/** What a command is run with. */
export type Call = {
  database: Database;
  env: Environment;
  screen: Screen;
  operands: readonly string[];
  options: Readonly<Record<string, string | boolean | undefined>>;
  /** By the clock of `performance.now`. */
  untilMs: number;
};

type Command = {
  words: string;
  /** As the help shows them; those in brackets may be missing. */
  operands: readonly string[];
  /** Names of options, beside those of all. One that ends in `=` takes a value. */
  options?: readonly string[];
  says: string;
  run(call: Call): Promise<Done>;
};

const { webhookKeysFile } = webhooks;
const ofInstance = ['INSTANCE'] as const;
const waits = ['wait-seconds='] as const;
const asks = ['reason=', ...waits] as const;

/** Asks for an operation with what the call gives, and follows it. */
async function request(kind: AskedKind, call: Call, given: Given): Promise<Done> {
  const config = parseConfig(publishing, call.env);
  const event = requestOf(kind, { reason: call.options['reason'], ...given }, config.eventSource);
  return await ask(kind, event, { database: call.database, config, following: call });
}

/** By the name that people know the instance by; what is wrong with the id is said by what is asked for. */
async function confirmRestore({ database, operands: [instance = ''], ...call }: Call, what: string): Promise<void> {
  await confirm(call, {
    what,
    async nameOf() {
      const { rows } = await database.query<{ name: string }>('select name from instances where id = $1', [instance]);
      return rows[0]?.name ?? instance;
    },
  });
}

const ringOf = ({ env }: Call) => openBackupKeys(parseConfig(keyRing, env));

export const commands: readonly Command[] = [
  {
    words: 'backups list',
    operands: ofInstance,
    says: 'all that are kept, newest first, and the last proven restorable point',
    run: ({ database, operands: [instanceId = ''] }) => listBackups(database, instanceId),
  },
  {
    words: 'backups show',
    operands: ['INSTANCE', '[BACKUP]'],
    says: 'one of them; the newest that succeeded unless named',
    run: ({ database, operands: [instanceId = '', backupId] }) => showBackup(database, { instanceId, backupId }),
  },
  {
    words: 'backup',
    operands: ofInstance,
    options: ['kind=', ...asks],
    says: 'makes one; --kind final of what is terminated',
    run: (call) => request('backup', call, { instance: call.operands[0], kind: call.options['kind'] }),
  },
  {
    words: 'verify',
    operands: ['INSTANCE', '[BACKUP]'],
    options: ['boot', 'no-boot', ...asks],
    says: 'restores a backup aside and looks at it; --boot starts Odoo on it, too, --no-boot does not',
    run: (call) => {
      const boot = call.options['boot'] === true ? true : call.options['no-boot'] === true ? false : undefined;
      return request('verify', call, { instance: call.operands[0], backup: call.operands[1], boot });
    },
  },
  {
    words: 'restore',
    operands: ['INSTANCE', 'BACKUP'],
    options: ['yes', ...asks],
    says: 'puts the instance back to what a backup of it holds; what it is now is kept for a while; asks first, but for --yes',
    run: async (call) => {
      const [instance = '', backup] = call.operands;
      await confirmRestore(call, `Instance ${instance} is put back to what backup ${backup} holds.`);
      return await request('restore', call, { instance, backup });
    },
  },
  {
    words: 'undo',
    operands: ['INSTANCE', '[RESTORE]'],
    options: ['yes', ...asks],
    says: 'takes a restore back, the last one unless its operation is named; asks first, but for --yes',
    run: async (call) => {
      const [instance = '', restore] = call.operands;
      const undoes = restore ?? (await newestRestore(call.database, instance));
      await confirmRestore(call, `Instance ${instance} is put back to what it was before the restore ${undoes}.`);
      return await request('restore', call, { instance, undoes });
    },
  },
  {
    words: 'clone',
    operands: ['INSTANCE', 'NAME'],
    options: ['backup=', 'plan=', ...asks],
    says: 'makes a neutralized copy as a new instance NAME of the same customer',
    run: (call) => {
      const [source, name] = call.operands;
      const { backup, plan } = call.options;
      return request('clone', call, { instance: newInstanceId(), source, name, backup, plan });
    },
  },
  {
    words: 'export',
    operands: ['INSTANCE', '[BACKUP]'],
    options: asks,
    says: "makes a zip in Odoo's own format of a backup; its operation is the export's id",
    run: (call) => request('export', call, { instance: call.operands[0], backup: call.operands[1] }),
  },
  {
    words: 'exports link',
    operands: ['EXPORT', '[URL]'],
    says: 'the link to download it, a secret; URL is where the function download is reached, DOWNLOAD_URL unless stated',
    run: (call) => {
      const [exportId = '', baseUrl = parseConfig(linking, call.env).downloadUrl ?? ''] = call.operands;
      return linkToExport(call.database, { exportId, baseUrl, signer: ringOf(call).signer });
    },
  },
  {
    words: 'import',
    operands: ['FILE', 'NAME'],
    options: ['customer=', 'plan=', 'owner=', ...asks],
    says: 'makes a zip of Odoo’s database manager a new instance NAME; --customer, --plan and --owner EMAIL are needed',
    run: async (call) => {
      const [file = '', name] = call.operands;
      const { customer, plan, owner } = call.options;
      const wanted = { instance: newInstanceId(), customer, plan, name, owner: { email: owner } };
      // Looked at before anything is sent: the archive may be large.
      requestOf('import', { ...wanted, from: { kind: 'odoo-zip', key: 'imports/x/x' } }, 'urn:x');
      const config = parseConfig(backups, call.env);
      const key = await uploadFile(file, { instanceId: wanted.instance, config, screen: call.screen });
      return await request('import', call, { ...wanted, from: { kind: 'odoo-zip', key } });
    },
  },
  {
    words: 'adopt',
    operands: ['ROWS', 'FILESTORES'],
    options: ['host=', 'user=', 'password-file=', 'ssl-mode=', 'while-running', 'dry-run', ...asks],
    says: 'imports the older platform’s instances: its rows as JSON, the folder of its filestores; --user and --password-file are needed',
    run: async (call) => {
      const [file = '', filestores = ''] = call.operands;
      const { host, user, 'password-file': passwordFile, 'ssl-mode': sslMode } = call.options;
      if (typeof user !== 'string' || typeof passwordFile !== 'string') {
        throw new Failure('misconfigured', 'State --user and --password-file: who reads the older databases.');
      }
      if (sslMode !== undefined && !/^(disable|require|verify-ca|verify-full)$/.test(String(sslMode))) {
        throw new Failure('misconfigured', '--ssl-mode is disable, require (unless stated), verify-ca or verify-full.');
      }
      return await adopt(file, {
        database: call.database,
        screen: call.screen,
        config: parseConfig(backups, call.env),
        older: {
          host: host === undefined ? null : String(host),
          user,
          passwordFile,
          sslMode: String(sslMode ?? 'require'),
        },
        filestores,
        whileRunning: call.options['while-running'] === true,
        isDry: call.options['dry-run'] === true,
        request: (kind, given) => request(kind, call, given),
      });
    },
  },
  {
    words: 'certificates show',
    operands: ofInstance,
    says: 'what its purge has removed, which copies stay until when, and whether the signature is right',
    run: (call) => {
      const { backupKeysFile } = parseConfig(keyRing, call.env);
      const signer = backupKeysFile === undefined ? undefined : ringOf(call).signer;
      return showCertificates(call.database, { instanceId: call.operands[0] ?? '', signer });
    },
  },
  {
    words: 'follow',
    operands: ['OPERATION'],
    options: waits,
    says: 'waits for the end of an operation of any kind',
    run: (call) => follow(call.database, call.operands[0] ?? '', call),
  },
  {
    words: 'keys create',
    operands: [],
    options: ['admin', 'customer=', 'name=', 'days='],
    says: 'an API key, printed once: --admin, or --customer ID; --days how long it counts, 90 unless stated',
    run: ({ database, options: { admin, customer, name = 'made by command', days = '90' } }) => {
      const wanted = {
        customer: customer === undefined ? undefined : String(customer),
        name: String(name),
        days: String(days),
      };
      return createKey(database, { isAdmin: admin === true, ...wanted });
    },
  },
  {
    words: 'keys status',
    operands: [],
    says: 'what each key of the ring is still needed for',
    run: (call) => {
      const config = parseConfig(backups, call.env);
      const store = config.backupStore === undefined ? undefined : openBackupStore(config);
      return keyStatus(call.database, ringOf(call), store);
    },
  },
  {
    words: 'keys rewrap',
    operands: [],
    says: "wraps all instances' keys by the ring's current one",
    run: (call) => rewrapKeys(call.database, ringOf(call), (line) => call.screen.progress?.(line)),
  },
  {
    words: 'webhook-keys status',
    operands: [],
    says: "how many secrets of customers' endpoints each key of WEBHOOK_KEYS_FILE wraps",
    run: ({ database, env }) => webhookKeyStatus(database, openWebhookSecrets(parseConfig(webhooks, env))),
  },
  {
    words: 'webhook-keys rewrap',
    operands: [],
    says: 'wraps all of them by its current one',
    run: ({ database, env, screen }) =>
      rewrapWebhookKeys(database, openWebhookSecrets(parseConfig(webhooks, env)), (line) => screen.progress?.(line)),
  },
];

/** The command that the words say, and the operands that follow. Undefined: none, or with too few or many of them. */
export function findCommand(positionals: readonly string[]): { command: Command; operands: string[] } | undefined {
  for (const command of commands) {
    const words = command.words.split(' ');
    const operands = positionals.slice(words.length);
    const least = command.operands.filter((one) => !one.startsWith('[')).length;
    const isIt = words.every((word, index) => positionals[index] === word);
    if (isIt && operands.length >= least && operands.length <= command.operands.length) return { command, operands };
  }
  return undefined;
}

const usageOf = ({ words, operands }: Command) => [words, ...operands].join(' ');
const width = Math.max(...commands.map((command) => usageOf(command).length)) + 2;

export const help = `Usage: npm run fleet -- <command> [options]

Backups of instances, what can be done with them, and what is left of what was purged.

${commands.map((command) => `  ${usageOf(command).padEnd(width)}${command.says}`).join('\n')}
  ${'platform backup|list|check|...'.padEnd(width)}of the platform's own database: see "platform --help"

  --reason TEXT      why, for people who read the record
  --wait-seconds N   how long to wait for the end of what was asked for; 0 not at all. No limit unless stated: ending this
                     program ends nothing else, and "follow" goes on watching
  --settings FILE    a file of lines NAME=value with the settings below; the environment counts more
  --json             prints one JSON document, or {"error": {"code", "message"}}
  --help

How far it is is shown on a terminal. Exit code: 0 done, or asked for and not waited for; 1 refused, failed, cancelled or
not there; 2 called wrongly.

Settings, from the environment, the same as those of the functions. BROKER_URL is for what asks for an operation,
BACKUP_KEYS_FILE for keys, links and the signatures of certificates, the others of backups for import:
${helpOf(defineConfig({ ...platformDatabase, ...publishing, ...backups, ...linking, webhookKeysFile }))}`;
