import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { spoolLetter } from '#shared/runtime/dead-letter/spool.ts';
import { replayWaits } from '#shared/runtime/dead-letter/waits.ts';
import { host } from '#shared/runtime/host.ts';
import { httpFunction } from '#shared/runtime/http-function.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { deadLetterSpool } from '#shared/runtime/rows.ts';
import { keepDeadLetter, maxLetterBytes } from './handler.ts';
import { tellOfSpool } from './spool-notice.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...deadLetterSpool }), process.env);
const platform = openPlatform('dead-letter', config);
const { database, log, metrics } = platform;
const spool = config.spoolFolder === undefined ? undefined : openDirectoryStore(config.spoolFolder);
tellOfSpool(spool !== undefined, { log, registry: metrics.registry });

const handler = httpFunction(
  (request) =>
    keepDeadLetter(request, {
      log,
      store: (letter) => storeDeadEvent(database, letter, { waitsMs: replayWaits() }),
      spool: spool && ((letter) => spoolLetter(spool, letter)),
    }),
  { log, metrics },
);

await host(platform, handler, { isProgram: import.meta.main, bodyLimitBytes: maxLetterBytes, ...config });
