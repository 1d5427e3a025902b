//! What runs on a server host: a real nginx that tells its own name and has large files, and an
//! echo for UDP.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | the server's name |
//! | `/whoami` | its name, and the address and port it saw the client with |
//! | `/1M`, `/16M`, `/256M` | that many octets |
//! | `/upload` | takes any body and answers with the server's name |

use crate::LabError;
use crate::place::Place;
use crate::process::Process;
use crate::topology::{Host, Role};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Files to download, with their sizes in MiB.
const FILES: [(&str, u64); 3] = [("1M", 1), ("16M", 16), ("256M", 256)];

/// Starts what a server host serves: the web server and the echo, where a service asks for them.
///
/// # Errors
/// [`LabError`] of the first that does not start. Neither is waited for.
pub fn start(place: &Place, host: &Host) -> Result<(), LabError> {
    start_web(place, host)?;
    start_echo(place, host)
}

/// Starts what [`start`] does, as far as it does not run.
///
/// # Errors
/// As [`start`].
pub fn start_missing(place: &Place, host: &Host) -> Result<(), LabError> {
    if Process::find(place, &web_process(&host.name)).is_none() {
        start_web(place, host)?;
    }
    if Process::find(place, &echo_process(&host.name)).is_none() {
        start_echo(place, host)?;
    }
    Ok(())
}

/// The name of the web server's process on a host.
pub fn web_process(host: &str) -> String {
    format!("{host}-nginx")
}

/// The name of the echo's process on a host.
pub fn echo_process(host: &str) -> String {
    format!("{host}-echo")
}

/// Starts the web server of a host.
///
/// # Errors
/// [`LabError`].
pub fn start_web(place: &Place, host: &Host) -> Result<(), LabError> {
    let Role::Server { tcp, .. } = &host.role else { return Ok(()) };
    if tcp.is_empty() {
        return Ok(());
    }
    let folder = prepare(place, &host.name)?;
    let file = folder.join("nginx.conf");
    let text = nginx_config(&host.name, &folder, tcp);
    std::fs::write(&file, text).map_err(LabError::file(&file))?;
    let (folder, file) = (folder.to_string_lossy(), file.to_string_lossy());
    let arguments = ["-p", &folder, "-c", &file, "-e", "stderr"];
    let name = web_process(&host.name);
    Process::start(place, &name, &place.host(&host.name), Path::new("nginx"), &arguments).map(drop)
}

/// Starts the echo of a host: this very program, asked to be one.
fn start_echo(place: &Place, host: &Host) -> Result<(), LabError> {
    let Role::Server { udp, .. } = &host.role else { return Ok(()) };
    if udp.is_empty() {
        return Ok(());
    }
    let ports: Vec<String> = udp.iter().map(u16::to_string).collect();
    let mut arguments = vec!["lab", "udp-echo", &host.name];
    arguments.extend(ports.iter().map(String::as_str));
    let name = echo_process(&host.name);
    Process::start(place, &name, &place.host(&host.name), place.program(), &arguments).map(drop)
}

/// Where the files are that the web server of a host gives away.
pub fn files(place: &Place, host: &str) -> PathBuf {
    place.host_folder(host).join("files")
}

/// Makes the folder of a host and its files, which are holes and take no room.
fn prepare(place: &Place, host: &str) -> Result<PathBuf, LabError> {
    let folder = place.host_folder(host);
    for part in ["files", "scratch"] {
        let part = folder.join(part);
        std::fs::create_dir_all(&part).map_err(LabError::file(&part))?;
    }
    for (name, size) in FILES {
        let path = folder.join("files").join(name);
        let file = File::create(&path).map_err(LabError::file(&path))?;
        file.set_len(size << 20).map_err(LabError::file(&path))?;
    }
    Ok(folder)
}

/// The configuration of one nginx that shares nothing with any other.
fn nginx_config(name: &str, folder: &Path, ports: &[u16]) -> String {
    let folder = folder.display();
    let mut listen = String::new();
    for port in ports {
        // Writing to a string cannot fail.
        let _ = write!(listen, "        listen 0.0.0.0:{port};\n        listen [::]:{port};\n");
    }
    let mut scratch = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(scratch, "    {kind}_temp_path {folder}/scratch/{kind};");
    }
    format!(
        "# Made by the lab.
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    default_type text/plain;
    client_max_body_size 0;
    keepalive_requests 1000000;
    add_header X-Server {name} always;
{scratch}    server {{
{listen}        location = / {{ return 200 \"{name}\\n\"; }}
        location = /whoami {{ return 200 \"{name} $remote_addr $remote_port\\n\"; }}
        location = /upload {{ return 200 \"{name}\\n\"; }}
        location / {{ root {folder}/files; }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nginx_has_its_own_name_ports_and_folder() {
        let text = nginx_config("server7", Path::new("/x/server7"), &[80, 8080]);
        for part in [
            "return 200 \"server7\\n\";",
            "listen 0.0.0.0:80;",
            "listen [::]:8080;",
            "pid /x/server7/nginx.pid;",
            "proxy_temp_path /x/server7/scratch/proxy;",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let opened = text.matches('{').count();
        assert_eq!(opened, text.matches('}').count(), "{text}");
    }
}
