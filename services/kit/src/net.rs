//! Listening sockets.
//!
//! The supervisor reserves each port of a service with a bound socket that never listens: no other program can take the port
//! while the service is down, and a client is refused instead of left waiting. Two sockets can bind to one port only if both
//! set `SO_REUSEPORT`, hence the options here.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The length of the accept queue.
const BACKLOG: i32 = 1024;

/// Listens on an address that the supervisor may have reserved.
///
/// # Errors
/// Errors of the operating system.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A reserved port. Only services that [`listen`] can use it.
#[derive(Debug)]
pub struct Lease {
    address: SocketAddr,
    _socket: Socket,
}

impl Lease {
    /// Reserves `address`; port 0 takes any free port.
    ///
    /// # Errors
    /// `AddrInUse` if the port is listened on or reserved; other errors of the operating system.
    pub fn take(address: SocketAddr) -> io::Result<Self> {
        let new = || {
            Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )
        };
        if address.port() != 0 {
            // Without SO_REUSEPORT, binding fails if any other socket is on the port, also a reservation by the same user,
            // which the socket below would not notice. SO_REUSEADDR only ignores connections that are closing.
            let probe = new()?;
            probe.set_reuse_address(true)?;
            probe.bind(&address.into())?;
        }
        let socket = new()?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        let address = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("the socket has no address"))?;
        Ok(Self {
            address,
            _socket: socket,
        })
    }

    /// The reserved address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_connections_until_its_service_listens() {
        let lease = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let refused = tokio::net::TcpStream::connect(lease.address()).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let listener = listen(lease.address()).unwrap();
        tokio::net::TcpStream::connect(lease.address())
            .await
            .unwrap();
        drop(listener);
        let refused = tokio::net::TcpStream::connect(lease.address()).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn a_port_that_is_reserved_or_listened_on_cannot_be_reserved_again() {
        let lease = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let again = Lease::take(lease.address()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = Lease::take(other.local_addr().unwrap()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
