/*
 * The npm package blynk-library 0.5.4 as a device that is written to: logs in, takes COUNT values on
 * V1, which must be 0, 1, 2 ... in this order, then three at once on V2, and leaves. By TLS or
 * WebSocket, as connector.js says.
 *
 *     node listen.js HOST PORT CA.pem TOKEN PRODUCT COUNT
 */
'use strict';

const Blynk = require('blynk-library');
const connectorTo = require('./connector.js');

const [host, port, ca, token, , countText] = process.argv.slice(2);
const count = Number(countText);
let next = 0;

function fail(why) {
  console.error('listen.js: ' + why);
  process.exit(1);
}

const slow = Number(process.env.TOLLGATE_TEST_SLOW) || 1; // as tests/system/process.h says
setTimeout(() => fail(`not done after ${60 * slow} s: ${next} values came`), 60000 * slow);

const blynk = new Blynk.Blynk(token, {
  connector: connectorTo(host, port, ca),
  heartbeat: 300,
  skip_connect: true,
});
const numbers = new blynk.VirtualPin(1);
const last = new blynk.VirtualPin(2);

numbers.on('write', (values) => {
  if (values.length !== 1 || Number(values[0]) !== next)
    fail(`V1 is written ${JSON.stringify(values)}, not ${next}`);
  next++;
});
last.on('write', (values) => {
  if (next !== count || values.join() !== 'that,is,all')
    fail(`V2 is written ${JSON.stringify(values)} after ${next} values`);
  console.log(`listen.js: ${next} values`);
  process.exit(0);
});
blynk.on('error', (error) => fail('the library says: ' + error));
blynk.on('disconnect', () => fail('disconnected'));
const log = console.log;
console.log = (...words) => {
  if (String(words[0]).startsWith('Invalid'))
    fail('the library did not understand a frame');
  log(...words);
};
blynk.connect();
