// The floor: what Node needs to start and answer. CommonJS, because an `import` of node:http takes half as long again.
require('node:http')
  .createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(request.method === 'POST' ? 204 : 200).end());
  })
  .listen(Number(process.env.PORT), '127.0.0.1');
