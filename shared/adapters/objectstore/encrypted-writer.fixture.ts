// A process that writes encrypted objects until it is killed. Argument: a file with the store's access and the key, as JSON.
import { readFileSync } from 'node:fs';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import { writeForEver } from '#shared/testing/object-writer.ts';
import { encryptedStore } from './encrypted.ts';
import { openObjectStore } from './open.ts';

const { access, key } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as { access: StoreAccess; key: string };
await writeForEver(encryptedStore(openObjectStore(access), Buffer.from(key, 'base64')));
