// For functions-framework --target=bench: its CloudEvent host, with a handler that does nothing and checks nothing.
import { cloudEvent } from '@google-cloud/functions-framework';

cloudEvent('bench', () => undefined);
