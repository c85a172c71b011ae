import { downloads } from '#shared/adapters/postgres/export-records.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { downloadHandler } from './handler.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...backups }), process.env);
const platform = openPlatform('download', config);
const { store, wrapper, signer } = backupParts(platform.database, config);

const handler = downloadHandler({
  downloads: downloads(platform.database),
  store,
  wrapper,
  signer,
  log: platform.log,
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
