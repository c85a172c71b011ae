import { createHash, randomBytes } from 'node:crypto';
import type { DatabaseServer, Image } from '#shared/domain/instance/instance.ts';
import { odooEnvironment, odooJobConf } from '#shared/domain/instance/odoo-conf.ts';
import type { ClusterJobs, OdooJob, TemplateKey, WarmDatabases } from '#shared/domain/instance/ports.ts';
import { templateKeyOf } from '#shared/domain/instance/template.ts';
import { templateBuildCommand } from '#shared/domain/odoo/template-build.ts';

/** Clones made per server and tick: a clone takes 0.1 to 3 s, and a tick must end within its request. */
const clonesPerTick = 2;

/** What is kept warm on a server for one image. */
export type WarmWish = { image: Image; target: number };

/** What one look at one template on one server found and did. */
export type WarmReport = {
  serverId: string;
  digest: string;
  template: 'absent' | 'building' | 'ready' | 'failed';
  warm: number;
  /** Clones that are wished for. */
  target: number;
  reason?: string;
};

export type WarmPorts = {
  warm: WarmDatabases;
  jobs: Pick<ClusterJobs, 'look' | 'start' | 'remove'>;
  /** Told of every password that is generated, before it is used: for the log's scrubber. */
  remember: (secret: string) => void;
};

/** The Job that builds a template on a server: one name per (template, server), so there is never a second one. */
export function templateJobName(template: Pick<TemplateKey, 'digest'>, server: DatabaseServer): string {
  const which = createHash('sha256').update(server.id).digest('hex').slice(0, 8);
  return `odoo-template-${template.digest}-${which}`;
}

async function startBuild(
  ports: WarmPorts,
  work: { server: DatabaseServer; image: Image; template: TemplateKey; language: string },
): Promise<void> {
  const { server, image, template, language } = work;
  const password = randomBytes(18).toString('base64url');
  ports.remember(password);
  const { database, role } = await ports.warm.beginTemplate(server, template, { password });
  const job: OdooJob = {
    name: templateJobName(template, server),
    owner: `template-${template.digest}`,
    operationId: null,
    image: image.reference,
    command: templateBuildCommand({ database, modules: template.modules, language }),
    odooConf: odooJobConf({ database, role, databaseServer: server, databasePassword: password }),
    environment: odooEnvironment(server),
    memoryMib: 1024,
    deadlineSeconds: 15 * 60,
  };
  await ports.jobs.start(job);
}

/** Brings a template one step nearer to being ready. */
async function build(
  ports: WarmPorts,
  work: { server: DatabaseServer; image: Image; template: TemplateKey; language: string; isBegun: boolean },
): Promise<{ template: WarmReport['template']; reason?: string }> {
  const { server, template } = work;
  const name = templateJobName(template, server);
  const job = await ports.jobs.look(name);
  switch (job.state) {
    case 'absent':
      await startBuild(ports, work);
      return { template: 'building' };
    case 'running':
      return { template: 'building' };
    case 'failed':
      // The Job stays, so that its log can be read and a broken image is not tried again and again.
      return {
        template: 'failed',
        reason: `Job ${name} failed: ${job.reason}. Delete the Job to have the template built anew.`,
      };
    case 'succeeded':
      // One that outlived its template, which somebody has dropped since: it makes room for the next.
      if (work.isBegun) await ports.warm.finishTemplate(server, template);
      await ports.jobs.remove(name);
      return { template: work.isBegun ? 'ready' : 'absent' };
  }
}

/** The template of an image without further modules, in its first language. */
function plainTemplateOf(image: Image): { template: TemplateKey; language: string } {
  const language = image.languages[0] ?? 'en_US';
  return { template: templateKeyOf(image, [], language), language };
}

/**
 * Keeps the templates and ready clones of one server as wished; each call does a bounded piece of it. A wish for none
 * keeps what is there; what belongs to no wish at all, such as to an image that was replaced, goes.
 */
export async function keepWarm(
  ports: WarmPorts,
  server: DatabaseServer,
  wishes: readonly WarmWish[],
): Promise<WarmReport[]> {
  const found = await ports.warm.survey(server);
  const wished = new Set(wishes.map(({ image }) => plainTemplateOf(image).template.digest));
  for (const { digest } of found.filter((one) => !wished.has(one.digest))) {
    await ports.jobs.remove(templateJobName({ digest }, server));
    await ports.warm.retireTemplate(server, digest);
  }
  const reports: WarmReport[] = [];
  for (const { image, target } of wishes.filter((wish) => wish.target > 0)) {
    const { template, language } = plainTemplateOf(image);
    const seen = found.find(({ digest }) => digest === template.digest);
    let state: { template: WarmReport['template']; reason?: string } = { template: seen?.template ?? 'absent' };
    if (state.template !== 'ready') {
      const isBegun = state.template === 'building';
      state = await build(ports, { server, image, template, language, isBegun });
    }
    let warm = seen?.warm ?? 0;
    if (state.template === 'ready' && warm < target) {
      warm += await ports.warm.refill(server, template, { target, atMost: clonesPerTick });
    }
    reports.push({ serverId: server.id, digest: template.digest, warm, target, ...state });
  }
  return reports;
}

/** Templates of which there are less than half of the wished clones. A template that is being built counts as none. */
export function shortagesOf(
  serverId: string,
  wishes: readonly WarmWish[],
  found: Awaited<ReturnType<WarmDatabases['survey']>>,
): { serverId: string; digest: string; reason: string }[] {
  return wishes.flatMap(({ image, target }) => {
    const { digest } = plainTemplateOf(image).template;
    const seen = found.find((one) => one.digest === digest);
    if ((seen?.warm ?? 0) * 2 >= target) return [];
    const what = seen?.template === 'ready' ? 'fewer than half' : 'its template is not ready: none';
    return [{ serverId, digest, reason: `${what} of ${target} clones for image ${image.id}` }];
  });
}
