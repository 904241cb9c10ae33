// aedes as its own README starts it: node aedes-server.mjs PACKAGE_JSON_BESIDE_IT PORT
import { createRequire } from 'node:module';
import { createServer } from 'node:net';

const [from, port] = process.argv.slice(2);
const { Aedes } = createRequire(from)('aedes');
const aedes = await Aedes.createBroker();
createServer(aedes.handle).listen(Number(port), '127.0.0.1');
