// A process that writes objects until it is killed. Argument: the store's access, as JSON in a file.
import { readFileSync } from 'node:fs';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import { writeForEver } from '#shared/testing/object-writer.ts';
import { openObjectStore } from './open.ts';

await writeForEver(openObjectStore(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as StoreAccess));
