// probe-ports.mjs ADDRESS PORT...: prints the ports that accept a connection, and their responses to GET /healthz.
// This is plain JavaScript, because it runs in another network namespace.
import { connect } from 'node:net';

const [address, ...ports] = process.argv.slice(2);

/** The response, or undefined if the port refuses the connection. */
function probe(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    let response;
    const end = () => {
      socket.destroy();
      resolve(response);
    };
    socket.setTimeout(2_000, end);
    socket.once('connect', () => {
      response = '';
      socket.write('GET /healthz HTTP/1.0\r\n\r\n');
    });
    socket.on('data', (data) => (response += data));
    socket.once('error', end);
    socket.once('close', end);
  });
}

const results = await Promise.all(ports.map(async (port) => [port, await probe(port)]));
const open = results.filter(([, response]) => response !== undefined);
console.log(
  JSON.stringify(Object.fromEntries(open.map(([port, response]) => [port, response.split('\r\n\r\n')[1]]))),
);
