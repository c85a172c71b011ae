import { http } from '@google-cloud/functions-framework';
import { example } from './function.ts';

// For: npx functions-framework --target=example --source=shared/testing/host-example/functions-framework.ts
http('example', example);
