# What `cmake --install` puts where beside the programs, which install themselves: libgw for programs
# of others, and the documents.
#
# libgw.a is made of the rooms that are of use outside the gateway: the codec, tokens and the index,
# the update log's record and reader. Its headers come along, room by room, and libgw.pc says how to
# link it.
set(_library_rooms base wire crypto token journal)
set(_objects "")
foreach(room IN LISTS _library_rooms)
    if(TARGET gw_${room})
        list(APPEND _objects $<TARGET_OBJECTS:gw_${room}>)
        install(DIRECTORY include/gw/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gw
                FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
    endif()
endforeach()

if(_objects)
    add_library(gw STATIC ${_objects})
    set_target_properties(gw PROPERTIES LINKER_LANGUAGE C)
    install(TARGETS gw ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

    # BoringSSL has no pkg-config file, and Debian's lies outside of the loader's path. A static
    # one was built for position-independent code too and links by its path.
    set(GW_PC_CRYPTO ${BoringSSL_CRYPTO_LIBRARY})
    if(BoringSSL_CRYPTO_LIBRARY MATCHES "\\.a$")
        string(APPEND GW_PC_CRYPTO " -lstdc++")
    else()
        get_filename_component(_crypto_folder ${BoringSSL_CRYPTO_LIBRARY} DIRECTORY)
        string(APPEND GW_PC_CRYPTO " -Wl,-rpath,${_crypto_folder}")
    endif()
    if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
        set(GW_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
    else()
        set(GW_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    endif()
    if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
        set(GW_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
    else()
        set(GW_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
    endif()
    # The prefix is what --install is told, which may differ from what was configured.
    set(GW_PC_AT @)
    configure_file(cmake/libgw.pc.in ${CMAKE_CURRENT_BINARY_DIR}/libgw.pc.in @ONLY)
    install(CODE "
        set(GW_PC_PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
        configure_file(\"${CMAKE_CURRENT_BINARY_DIR}/libgw.pc.in\"
                       \"${CMAKE_CURRENT_BINARY_DIR}/libgw.pc\" @ONLY)")
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libgw.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md" PATTERN "*.conf" PATTERN "*.service")

if(GW_TESTS)
    set(_sanitize "")
    if(GW_SANITIZE)
        set(_sanitize -fsanitize=${GW_SANITIZE})
    endif()
    add_test(NAME system.install
        COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DCC=${CMAKE_C_COMPILER}
                -DSOURCE=${PROJECT_SOURCE_DIR} -DLIBDIR=${CMAKE_INSTALL_LIBDIR}
                -DFLAGS=${_sanitize} -P ${PROJECT_SOURCE_DIR}/tests/install/install_test.cmake)
    set_tests_properties(system.install PROPERTIES LABELS system TIMEOUT 120)
endif()
