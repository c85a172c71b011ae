import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { authenticate } from '#shared/adapters/odoo-http/authenticate.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { waitForPage, waitForWarmDatabase } from './conditions.ts';
import { followProvision, requestInstance, type StepTime } from './follow.ts';
import { startInSandbox } from './in-sandbox.ts';
import type { LocalFleet, StartedFleet } from './local-fleet.ts';
import { startOnCluster } from './on-cluster.ts';
import type { LocalOptions } from './options.ts';
import { type Screen, table } from './screen.ts';

/** Longer than an initialisation by a Job on a slow machine. */
const provisionTimeoutMs = 10 * 60_000;

/** Everything `--json` prints. */
type Report = {
  url: string;
  login: string;
  password: string;
  instance: string;
  operation: string;
  odoo: 'real' | 'stand-in';
  surroundings: 'sandbox' | 'cluster';
  startSeconds: number;
  eventToLoginPageSeconds: number | null;
  steps: StepTime[];
  checks: { rightPassword: boolean; defaultPassword: boolean };
};

/** Runs a fleet and provisions one instance in it. Returns the exit code. */
export async function runLocal(options: LocalOptions, screen: Screen): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await runUntil(interrupt.signal, options, screen);
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    throw error;
  }
}

async function runUntil(signal: AbortSignal, options: LocalOptions, screen: Screen): Promise<number> {
  const interrupted = new Promise<'interrupted'>((resolve) => {
    signal.addEventListener('abort', () => resolve('interrupted'));
  });
  const started = options.cluster
    ? await startOnCluster(options, screen, signal)
    : await startInSandbox(options, screen);
  try {
    const work = provisionAndReport(started, { options, screen });
    const report = signal.aborted ? 'interrupted' : await Promise.race([work, interrupted]);
    if (report === 'interrupted') return 130;
    const isGood = report.checks.rightPassword && !report.checks.defaultPassword;
    if (!isGood) screen.error('The login check failed: see the two lines above.');
    if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.once || !isGood) return isGood ? 0 : 1;
    const { commands, mails } = started.fleet;
    if (mails !== undefined) screen.print(`  mails     ${mails}`);
    if (commands !== undefined) screen.print(`  commands  ${commands} backup ${report.instance}`);
    screen.print(`\nThe fleet stays up. Ctrl-C ends it; ${started.afterwards}.`);
    await interrupted;
    return 130;
  } finally {
    await started.stop();
  }
}

async function provisionAndReport(
  { fleet, startSeconds }: StartedFleet,
  { options, screen }: { options: LocalOptions; screen: Screen },
): Promise<Report> {
  screen.say('waiting for a warm database (the first time its template is built: Odoo installs base once)');
  await waitForWarmDatabase(fleet, { timeoutMs: provisionTimeoutMs });
  const login = `owner@${options.name}.example`;
  const isKnown = await hasInstance(fleet, options.name);
  screen.say(isKnown ? `${options.name} is there from an earlier run` : 'publishing provision.requested to the broker');
  const publishedMs = performance.now();
  const instanceId = await requestInstance(fleet, { name: options.name, email: login });
  const followed = await followProvision(fleet.records, instanceId, {
    timeoutMs: provisionTimeoutMs,
    onStep: ({ step, seconds }) => screen.step(step, `${(seconds * 1000).toFixed(0)} ms`),
    onWaiting: (what) => screen.step('waits for', what),
  });
  if (followed.state !== 'succeeded') {
    throw new Error(`Provisioning ${followed.state}: ${followed.errorText ?? ''} ${fleet.whereToLook}`);
  }
  const { instance, publicUrl } = await readInstance(fleet.records, instanceId);
  await waitForPage(`${publicUrl}/web/login`, { timeoutMs: provisionTimeoutMs });
  const eventToLoginPageSeconds = isKnown ? null : (performance.now() - publishedMs) / 1000;
  const password = await oneTimePassword(fleet, instance);
  const checks = await checkLogin(publicUrl, { instance, login, password });
  screen.print(
    summary({ url: publicUrl, login, password, steps: followed.steps, eventToLoginPageSeconds, startSeconds }),
  );
  screen.say(`login with the one-time password: ${checks.rightPassword ? 'accepted' : 'REFUSED'}`);
  screen.say(`login with admin/admin: ${checks.defaultPassword ? 'ACCEPTED' : 'refused'}`);
  return {
    url: publicUrl,
    login,
    password,
    instance: instanceId,
    operation: followed.operationId,
    odoo: options.odoo,
    surroundings: options.cluster ? 'cluster' : 'sandbox',
    startSeconds,
    eventToLoginPageSeconds,
    steps: followed.steps,
    checks,
  };
}

async function hasInstance(fleet: LocalFleet, name: string): Promise<boolean> {
  const { rowCount } = await fleet.records.query('select 1 from instances where name = $1 and host is not null', [
    name,
  ]);
  return rowCount > 0;
}

/** Reads the password where it lives: in the instance's credentials Secret. */
async function oneTimePassword(fleet: LocalFleet, instance: Instance): Promise<string> {
  const opened = openTenantCluster({
    kubeconfigFile: fleet.kubeconfigFile,
    namespace: tenantNamespace,
    clientNamespaces: [],
  });
  try {
    const credentials = await opened.credentials.read(instance);
    if (credentials === undefined) throw new Error(`The credentials Secret of instance ${instance.id} is gone.`);
    return credentials.adminPassword;
  } finally {
    await opened.close();
  }
}

async function checkLogin(
  publicUrl: string,
  who: { instance: Instance; login: string; password: string },
): Promise<Report['checks']> {
  const { database } = namesOf(who.instance.id);
  const right = await authenticate(publicUrl, { login: who.login, password: who.password, database });
  const standard = await authenticate(publicUrl, { login: 'admin', password: 'admin', database });
  return { rightPassword: right !== false, defaultPassword: standard !== false };
}

function summary(report: {
  url: string;
  login: string;
  password: string;
  steps: StepTime[];
  eventToLoginPageSeconds: number | null;
  startSeconds: number;
}): string {
  const rows = report.steps.map(
    ({ step, seconds, outcome }) => [step, `${(seconds * 1000).toFixed(0)} ms`, outcome] as const,
  );
  const total = report.eventToLoginPageSeconds;
  return [
    '',
    table(['step', 'time', ''], rows),
    total === null ? '' : `  event to login page: ${total.toFixed(2)} s`,
    `  start of the fleet:  ${report.startSeconds.toFixed(2)} s`,
    '',
    `  URL       ${report.url}`,
    `  login     ${report.login}`,
    `  password  ${report.password}   (one-time: change it after the first login)`,
    '',
  ].join('\n');
}
