// A process that writes objects until it is killed. Argument: the store's folder.
import { writeForEver } from '#shared/testing/object-writer.ts';
import { openDirectoryStore } from './directory.ts';

await writeForEver(openDirectoryStore(process.argv[2] ?? ''));
