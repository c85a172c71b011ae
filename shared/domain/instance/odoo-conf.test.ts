import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exampleInstance, exampleServer } from '#shared/testing/examples.ts';
import { Failure } from '../failure.ts';
import type { Instance, Plan } from './instance.ts';
import { customerSettingNames, limitsOf, odooConf, odooJobConf, refuseSettings } from './odoo-conf.ts';

const plan: Plan = {
  id: 'basic',
  cpuMillis: 1000,
  memoryMib: 2048,
  diskGib: 10,
  workers: 2,
  cronThreads: 1,
  databaseConnections: 32,
  replicas: 1,
};

const databaseServer = exampleServer({ host: '10.0.0.5' });

const instance = exampleInstance({ host: 'shop.example.com', plan, modules: ['base'] });

const confOf = (settings: Record<string, unknown>) =>
  odooConf({
    instance: { ...instance, settings: settings as Instance['settings'] },
    databaseServer,
    databasePassword: 'generated-password',
    masterPasswordHash: '$pbkdf2-sha512$1000$c2FsdA$aGFzaA',
  });

/**
 * Reads INI text the way Python's RawConfigParser does: universal newlines, comments, continuation lines, `=` or `:`,
 * lower-cased keys, an error for a key given twice.
 */
function readIni(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let last: string | undefined;
  for (const line of text.split(/\r\n|[\n\r\v\f\u001c-\u001e\u0085\u2028\u2029]/)) {
    const value = line.trim();
    if (value === '' || value.startsWith('#') || value.startsWith(';')) continue;
    const header = /^\[([^\]]+)\]/.exec(value);
    if (/^\s/.test(line) && section && last) {
      section.set(last, `${section.get(last)}\n${value}`);
    } else if (header?.[1] !== undefined) {
      section = new Map();
      if (sections.has(header[1])) throw new Error(`section ${header[1]} twice`);
      sections.set(header[1], section);
      last = undefined;
    } else {
      const option = /^(.*?)\s*(?:[=:]\s*(.*))?$/.exec(value);
      last = option?.[1]?.toLowerCase() ?? '';
      if (section?.has(last)) throw new Error(`key ${last} twice`);
      section?.set(last, option?.[2] ?? '');
    }
  }
  return sections;
}

describe('odoo.conf', () => {
  it('pins the instance to its own database and hides the others', () => {
    expect(confOf({})).toMatchInlineSnapshot(`
      "[options]
      admin_passwd = $pbkdf2-sha512$1000$c2FsdA$aGFzaA
      db_host = 10.0.0.5
      db_port = 5432
      db_user = odoo_abcdefgh2345
      db_password = generated-password
      db_sslmode = verify-full
      db_name = odoo_abcdefgh2345
      dbfilter =
      list_db = False
      without_demo = True
      data_dir = /var/lib/odoo
      proxy_mode = True
      http_port = 8069
      gevent_port = 8072
      workers = 2
      max_cron_threads = 1
      db_maxconn = 8
      limit_memory_soft = 629145600
      limit_memory_hard = 1677721600
      limit_time_cpu = 600
      limit_time_real = 1200
      limit_request = 8192
      "
    `);
  });

  it('holds the settings the customer chose', () => {
    const options = readIni(confOf({ log_level: 'warn', reportgz: true, transient_age_limit: 2.5 })).get('options');
    expect(options?.get('log_level')).toBe('warn');
    expect(options?.get('reportgz')).toBe('True');
    expect(options?.get('transient_age_limit')).toBe('2.5');
  });

  it('keeps every value of ours whatever the settings are, even when nobody checked them', () => {
    const ours = readIni(confOf({})).get('options') ?? new Map<string, string>();
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'x\nadmin_passwd = admin',
        'x\r[options]\rlist_db = True',
        ' = y',
        '%(db_password)s',
        'a\0b',
        '\u2028list_db=True',
      ),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constantFrom(null, undefined, [], {}),
    );
    const keys = fc.oneof(
      fc.constantFrom(...ours.keys(), ...customerSettingNames),
      fc.constantFrom(...ours.keys()).map((key) => key.toUpperCase()),
      fc.constantFrom(...ours.keys()).map((key) => ` ${key} `),
      fc.constantFrom(
        'x\nadmin_passwd',
        '[options]',
        'a = b\nlist_db',
        '__proto__',
        'constructor',
        'log_level:',
        'addons_path',
        '',
      ),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.dictionary(keys, nasty), (settings) => {
        const sections = readIni(confOf(settings));
        expect([...sections.keys()]).toEqual(['options']);
        const options = sections.get('options') ?? new Map<string, string>();
        for (const [key, value] of ours) expect(options.get(key)).toBe(value);
        for (const key of options.keys()) expect(ours.has(key) || customerSettingNames.includes(key)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a value of ours that would break the file', () => {
    const broken = { ...databaseServer, host: 'db\nlist_db = True' };
    expect(() =>
      odooConf({ instance, databaseServer: broken, databasePassword: 'p', masterPasswordHash: 'h' }),
    ).toThrow(Failure);
  });

  it('gives a Job its database only and no processes that nobody needs', () => {
    const text = odooJobConf({ database: 'odoo_a', role: 'odoo_a', databaseServer, databasePassword: 'p' });
    const options = readIni(text).get('options');
    expect(options?.get('db_name')).toBe('odoo_a');
    expect(options?.get('workers')).toBe('0');
    expect(options?.get('max_cron_threads')).toBe('0');
  });
});

describe('settings of a customer', () => {
  it('pass when they are listed and fit', () => {
    expect(refuseSettings({ email_from: 'shop@example.com', import_file_timeout: 10, csv_internal_sep: ';' })).toEqual(
      [],
    );
  });

  it('are refused by name when the platform sets them, in any spelling', () => {
    expect(refuseSettings({ db_host: 'x', Admin_Passwd: 'x', ' list_db': true })).toEqual([
      'settings: "db_host" is set by the platform and cannot be chosen',
      'settings: "Admin_Passwd" is set by the platform and cannot be chosen',
      'settings: " list_db" is set by the platform and cannot be chosen',
    ]);
  });

  it('are refused when unknown', () => {
    expect(refuseSettings({ 'x\nadmin_passwd': 'y' })).toEqual([
      'settings: "x\\nadmin_passwd" is not a setting that can be chosen',
    ]);
  });

  it.each([
    ['email_from', 'a@b.example\nadmin_passwd = admin'],
    ['email_from', 'a@b.example = x'],
    ['email_from', 'a@b.example%'],
    ['email_from', '[options]'],
    ['email_from', 'a@b.example\0'],
    ['from_filter', ' b.example'],
    ['log_level', 'debug_sql'],
    ['import_file_timeout', '10'],
    ['import_file_timeout', 1e9],
    ['transient_age_limit', Number.NaN],
    ['reportgz', 'True'],
  ])('are refused when %s is %j', (key, value) => {
    expect(refuseSettings({ [key]: value })).toHaveLength(1);
  });
});

describe('limits of a plan', () => {
  it('share the role’s connections out among the processes', () => {
    expect(limitsOf(plan)['db_maxconn']).toBe(8);
    expect(limitsOf({ ...plan, workers: 0 })['db_maxconn']).toBe(32);
    expect(limitsOf({ ...plan, replicas: 3, databaseConnections: 100 })['db_maxconn']).toBe(10);
  });

  it('never ask for more than the role may have, unless the plan is too small for Odoo', () => {
    const count = (value: number) => fc.integer({ min: 0, max: value });
    fc.assert(
      fc.property(
        count(8),
        count(4),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 400 }),
        (workers, cronThreads, replicas, databaseConnections) => {
          const maximum = limitsOf({ ...plan, workers, cronThreads, replicas, databaseConnections })['db_maxconn'] ?? 0;
          const perPod = workers === 0 ? 1 : workers + 1 + (replicas > 1 ? 0 : cronThreads);
          const processes = perPod * replicas + (replicas > 1 ? 1 : 0);
          expect(maximum * processes <= databaseConnections || maximum === 4).toBe(true);
        },
      ),
    );
  });

  it('hold the memory of a worker between the guide’s sample and Odoo’s default', () => {
    const mib = (bytes: number | undefined) => (bytes ?? 0) / 1024 / 1024;
    expect(mib(limitsOf({ ...plan, memoryMib: 512 })['limit_memory_soft'])).toBe(600);
    expect(mib(limitsOf({ ...plan, memoryMib: 4096 })['limit_memory_soft'])).toBe(1024);
    expect(mib(limitsOf({ ...plan, memoryMib: 65_536 })['limit_memory_soft'])).toBe(2048);
    expect(mib(limitsOf({ ...plan, memoryMib: 65_536 })['limit_memory_hard'])).toBe(2560);
  });
});

it('sends the mails of a staging copy to the sink, whatever relay there is', () => {
  const text = odooConf({
    instance: { ...instance, clonedFrom: 'zyxwvutsrq76' },
    databaseServer,
    databasePassword: 'generated-password',
    masterPasswordHash: 'hash',
    mailRelay: { host: 'relay.example.com', port: 587 },
  });
  const options = readIni(text).get('options');
  expect(['smtp_server', 'smtp_port', 'smtp_user'].map((key) => options?.get(key))).toEqual([
    'outbound-sink',
    '2525',
    instance.id,
  ]);
  expect(text).not.toContain('relay.example.com');
});
